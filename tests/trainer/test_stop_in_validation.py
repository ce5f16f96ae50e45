"""Ctrl-C while a run validates, and at the last step that it takes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import stemcore.trainer.validate as validate
from stemcore import Callback, Interrupted, load_run, run
from stemcore.component.callback import State
from stemcore.progress import reporter
from tests.trainer.stopping import stopping_at

QUIET = reporter(quiet=True)
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@contextmanager
def signal_in_validation(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sends this process a signal while it scores validation batch ``number`` of the run."""
    scored: list[int] = []
    original = validate.update

    def update(*arguments: Any) -> None:
        original(*arguments)
        scored.append(len(scored) + 1)
        if len(scored) == number:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(validate, "update", update)
        yield scored


def final(directory: Path) -> tuple[dict[str, torch.Tensor], str, dict[str, Any], str | None]:
    kept = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
    summary = load_run(directory).summary
    return kept["weights"], (directory / "metrics.csv").read_text(), summary["final"], summary["reason"]


def same(a: Path, b: Path) -> None:
    (weights, rows, scores, reason), others = final(a), final(b)
    assert weights.keys() == others[0].keys()
    assert all(torch.equal(t, others[0][n]) for n, t in weights.items())
    assert (rows, scores, reason) == others[1:]


def eventful(small: Callable[..., dict[str, Any]], **trainer: Any) -> dict[str, Any]:
    """204 items are validated in four batches."""
    settings = {"max_epochs": 2, "ema": {"decay": 0.9}, "accumulate_grad_batches": 3, **trainer}
    return small(scheduler={"type": "one_cycle"}, trainer=settings)


@pytest.mark.parametrize("batch", [2, 7])  # in mid-validation of each epoch
def test_a_run_stops_at_once_and_ends_as_undisturbed(
    small: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    recipe = eventful(small)
    run(recipe, output=tmp_path / "whole", reporter=QUIET)
    said = f"in epoch {1 + batch // 5} at step {6 * (1 + batch // 5)}"
    with signal_in_validation(batch, monkeypatch) as scored, pytest.raises(Interrupted, match=said):
        run(recipe, output=tmp_path / "cut", reporter=QUIET)
    assert len(scored) == batch
    run(recipe, resume=tmp_path / "cut", reporter=QUIET)
    same(tmp_path / "cut", tmp_path / "whole")


def test_so_does_one_whose_last_step_has_been_taken(
    small: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = eventful(small, max_steps=8)
    run(recipe, output=tmp_path / "whole", reporter=QUIET)
    assert final(tmp_path / "whole")[3] == "max_steps 8 reached"
    with signal_in_validation(5, monkeypatch), pytest.raises(Interrupted, match="in epoch 2 at step 8"):
        run(recipe, output=tmp_path / "validating", reporter=QUIET)
    with stopping_at(8, monkeypatch), pytest.raises(Interrupted, match="in epoch 2 at step 8"):
        run(recipe, output=tmp_path / "stepping", reporter=QUIET)
    for name in ("validating", "stepping"):
        run(recipe, resume=tmp_path / name, reporter=QUIET)
        same(tmp_path / name, tmp_path / "whole")


class StopAt(Callback):
    """Asks for an end in mid-epoch: the epoch is trained to its end first."""

    def on_step_end(self, state: State) -> None:
        if state.step == 2:
            state.stop("two steps")


def test_so_does_one_that_was_asked_to_end_after_its_epoch(
    small: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = eventful(small)
    run(recipe, output=tmp_path / "whole", callbacks=[StopAt()], reporter=QUIET)
    assert load_run(tmp_path / "whole").summary["epochs"] == 1
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        run(recipe, output=tmp_path / "cut", callbacks=[StopAt()], reporter=QUIET)
    run(recipe, resume=tmp_path / "cut", callbacks=[StopAt()], reporter=QUIET)
    same(tmp_path / "cut", tmp_path / "whole")
