"""Stopping a run at a known step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import stemcore.trainer.loop as loop


@contextmanager
def stopping_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if Ctrl-C came during optimizer step ``step``."""

    original = loop.Trainer._optimizer_step

    def stepping(self: loop.Trainer) -> None:
        original(self)
        self.interrupt.requested = self.state.step == step

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_optimizer_step", stepping)
        yield
