"""Weight schedules: the weight of a loss term over the epochs."""

from __future__ import annotations

from abc import ABC, abstractmethod


class WeightSchedule(ABC):
    """A weight that changes while training.

    Args:
        total_epochs: length of the run.
    """

    def __init__(self, total_epochs: int) -> None:
        self.total_epochs = total_epochs

    @abstractmethod
    def weight(self, epoch: float) -> float:
        """The weight after ``epoch`` epochs (a fraction within an epoch), never negative."""
