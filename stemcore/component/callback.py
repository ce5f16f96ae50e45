"""Callbacks: code that the trainer calls at named moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from stemcore.component.model import Model


@dataclass
class State:
    """What a callback sees of a run. ``metrics`` holds the newest epoch's values by their logged names,
    ``history`` those of every epoch."""

    model: Model
    directory: Path
    max_epochs: int
    steps_per_epoch: int
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """Ends training after the current epoch."""
        self.stop_reason = self.stop_reason or reason


class Callback:
    """Override any of the ``on_*`` methods; a method of another name beginning with ``on_`` is an error. The ones
    overridden are called in order of ``order``, low first, ties by their place in the recipe."""

    order: ClassVar[int] = 0

    def on_fit_start(self, state: State) -> None:
        """Before the first step, and after resuming."""

    def on_epoch_start(self, state: State) -> None:
        """Before the first batch of an epoch."""

    def on_step_end(self, state: State) -> None:
        """After every optimizer step: costs time on the hot path, so do little."""

    def on_validation_end(self, state: State) -> None:
        """After validation; ``state.metrics`` is complete."""

    def on_epoch_end(self, state: State) -> None:
        """After an epoch, before its checkpoint is written."""

    def on_fit_end(self, state: State) -> None:
        """After the last epoch, also when training was stopped early."""

    def state_dict(self) -> Mapping[str, Any]:
        """What must survive a resume: primitive types and tensors only."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state_dict`` returned."""
