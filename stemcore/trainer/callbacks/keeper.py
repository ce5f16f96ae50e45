"""Which checkpoints are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from stemcore.component.callback import Callback, State
from stemcore.files import write_atomically
from stemcore.trainer.callbacks.early_stopping import better

LAST, BEST = "last.ckpt", "best.ckpt"


class Keeper(Callback):
    """Keeps the checkpoint of the best epoch by ``monitor``, those of the ``top`` best ones where that is more than
    one, and one every ``every_n_epochs``.

    The trainer writes ``last.ckpt`` after every epoch, once every callback has seen its end. It is replaced then, never
    changed, so that what is kept is a further name for the same file, and costs neither time nor room.
    """

    order: ClassVar[int] = 90

    def __init__(self, folder: Path, monitor: str, direction: str, every_n_epochs: int, top: int = 1) -> None:
        self.folder = folder
        self.monitor, self.direction, self.every, self.top = monitor, direction, every_n_epochs, top
        self.ranking: list[tuple[float, int]] = []
        """Value and epoch of the best epochs, the best first."""
        self._names: list[str] = []
        self._outdone: list[str] = []

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self.ranking[0][0] if self.ranking else None

    @property
    def best_epoch(self) -> int:
        """The epoch of the best value, 0 before there is one."""
        return self.ranking[0][1] if self.ranking else 0

    def on_epoch_end(self, state: State) -> None:
        """Decides under which names this epoch's checkpoint is kept."""
        self._names, self._outdone = [], []
        value = state.metrics.get(self.monitor)
        rank = None if value is None else self._rank(value)
        if value is not None and rank is not None and rank < self.top:
            self.ranking.insert(rank, (value, state.epoch))
            self._outdone = [_ranked(epoch) for _, epoch in self.ranking[self.top :]]
            del self.ranking[self.top :]
            self._names += [BEST] if rank == 0 else []
            self._names += [_ranked(state.epoch)] if self.top > 1 else []
        if self.every and state.epoch % self.every == 0:
            self._names.append(f"epoch{state.epoch:03d}.ckpt")

    def keep(self) -> None:
        """Gives ``last.ckpt`` the further names decided on, and lets go of epochs that have been outdone."""
        for name in self._names:
            write_atomically(self.folder / name, lambda part: _link(self.folder / LAST, part))
        for name in self._outdone:
            (self.folder / name).unlink(missing_ok=True)
        self._names, self._outdone = [], []

    def _rank(self, value: float) -> int | None:
        """Where a value stands among the best; an equal one that came before stands before it. NaN stands nowhere."""
        if not better(value, None, self.direction):
            return None
        return sum(not better(value, other, self.direction) for other, _ in self.ranking)

    def state_dict(self) -> Mapping[str, Any]:
        """The best epochs so far."""
        return {"ranking": [list(entry) for entry in self.ranking]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes them back."""
        self.ranking = [(value, epoch) for value, epoch in state["ranking"]]


def _ranked(epoch: int) -> str:
    return f"best-epoch{epoch:03d}.ckpt"


def _link(source: Path, target: Path) -> None:
    """A further name for a file, or a copy where the file system has no such names."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
