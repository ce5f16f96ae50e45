"""Callbacks that are handed to ``run`` besides those of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stemcore import Callback, Interrupted, State, run
from stemcore.progress import reporter

QUIET = reporter(quiet=True)


class Following(Callback):
    """Counts epochs, and asks to stop after one of them."""

    def __init__(self, last: int = 99, interrupt: bool = False) -> None:
        self.epochs, self.last, self.interrupt = 0, last, interrupt

    def on_epoch_start(self, state: State) -> None:
        if self.interrupt and state.epoch == 1:
            raise Interrupted("for a test")

    def on_epoch_end(self, state: State) -> None:
        self.epochs += 1
        assert "val/loss" in state.metrics
        if self.epochs == self.last:
            state.stop("enough")

    def state_dict(self) -> Mapping[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epochs = state["epochs"]


@pytest.fixture
def recipe(small: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return small(trainer={"max_epochs": 3}, model={"channels": [2]})


def test_a_callback_follows_a_run_and_ends_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    first, second = Following(last=2), Following()
    trained = run(recipe, output=tmp_path / "run", callbacks=[first, second], reporter=QUIET)
    assert (first.epochs, second.epochs) == (2, 2)
    assert (trained.summary["status"], trained.summary["reason"]) == ("finished", "enough")
    assert trained.recipe.callbacks == {}


def test_its_state_is_in_the_checkpoint(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(recipe, output=tmp_path / "run", callbacks=[Following(interrupt=True)], reporter=QUIET)
    again = Following()
    run(recipe, resume=tmp_path / "run", callbacks=[again], reporter=QUIET)
    assert again.epochs == 3
