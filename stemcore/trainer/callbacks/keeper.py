"""Which checkpoints are kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from stemcore.component.callback import Callback, State
from stemcore.files import write_atomically
from stemcore.trainer.callbacks.early_stopping import better

LAST, BEST = "last.ckpt", "best.ckpt"


class Keeper(Callback):
    """Keeps the checkpoint of the best epoch by ``monitor``, and one every ``every_n_epochs``.

    The trainer writes ``last.ckpt`` after every epoch, once every callback has seen its end; what is kept is a copy.
    """

    order: ClassVar[int] = 90

    def __init__(self, folder: Path, monitor: str, direction: str, every_n_epochs: int) -> None:
        self.folder = folder
        self.monitor, self.direction, self.every = monitor, direction, every_n_epochs
        self.best: float | None = None
        self.best_epoch = 0
        self._copies: list[str] = []

    def on_epoch_end(self, state: State) -> None:
        """Decides which copies this epoch's checkpoint gets."""
        self._copies = []
        value = state.metrics.get(self.monitor)
        if value is not None and better(value, self.best, self.direction):
            self.best, self.best_epoch = value, state.epoch
            self._copies.append(BEST)
        if self.every and state.epoch % self.every == 0:
            self._copies.append(f"epoch{state.epoch:03d}.ckpt")

    def keep(self) -> None:
        """Copies ``last.ckpt`` as decided."""
        for name in self._copies:
            write_atomically(self.folder / name, lambda part: shutil.copyfile(self.folder / LAST, part))
        self._copies = []

    def state_dict(self) -> Mapping[str, Any]:
        """The best value so far."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes it back."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
