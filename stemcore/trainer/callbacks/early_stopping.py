"""Stops a run that has stopped improving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from stemcore.component.callback import Callback, State


def better(value: float, best: float | None, direction: str, min_delta: float = 0.0) -> bool:
    """Whether ``value`` is better than ``best`` by more than ``min_delta``; NaN never is."""
    if math.isnan(value):
        return False
    if best is None:
        return True
    return value < best - min_delta if direction == "min" else value > best + min_delta


class EarlyStopping(Callback):
    """Ends training when ``monitor`` has not improved by more than ``min_delta`` for ``patience`` validations."""

    order: ClassVar[int] = 50

    def __init__(self, monitor: str, direction: str, patience: int, min_delta: float) -> None:
        self.monitor, self.direction = monitor, direction
        self.patience, self.min_delta = patience, min_delta
        self.best: float | None = None
        self.waited = 0

    def on_epoch_end(self, state: State) -> None:
        """Compares this epoch's value, if there is one, with the best so far."""
        if self.monitor not in state.metrics:
            return
        value = state.metrics[self.monitor]
        if better(value, self.best, self.direction, self.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            state.stop(f"{self.monitor} has not improved for {self.waited} validations (best {self.best:.6g})")

    def state_dict(self) -> Mapping[str, Any]:
        """Best value and patience used up."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes them back."""
        self.best, self.waited = state["best"], state["waited"]
