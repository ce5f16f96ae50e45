"""Which checkpoints are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from stemcore.component.callback import Callback, State
from stemcore.trainer.callbacks.early_stopping import better

LAST, BEST = "last.ckpt", "best.ckpt"


class Keeper(Callback):
    """Keeps the checkpoint of the best epoch by ``monitor``, those of the ``top`` best ones where that is more than
    one, and one every ``every_n_epochs``.

    The trainer saves after every epoch, once every callback has seen its end: ``names`` are what that checkpoint is
    called besides ``last.ckpt``, ``outdone`` the checkpoints that are no longer wanted.
    """

    order: ClassVar[int] = 90

    def __init__(self, monitor: str, direction: str, every_n_epochs: int, top: int = 1) -> None:
        self.monitor, self.direction, self.every, self.top = monitor, direction, every_n_epochs, top
        self.ranking: list[tuple[float, int]] = []
        """Value and epoch of the best epochs, the best first."""
        self.names: list[str] = []
        self.outdone: list[str] = []

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
        self.names, self.outdone = [], []
        value = state.metrics.get(self.monitor)
        rank = None if value is None else self._rank(value)
        if value is not None and rank is not None and rank < self.top:
            self.ranking.insert(rank, (value, state.epoch))
            self.outdone = [_ranked(epoch) for _, epoch in self.ranking[self.top :]]
            del self.ranking[self.top :]
            self.names += [BEST] if rank == 0 else []
            self.names += [_ranked(state.epoch)] if self.top > 1 else []
        if self.every and state.epoch % self.every == 0:
            self.names.append(f"epoch{state.epoch:03d}.ckpt")

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
