"""Schedules of weights broken in one way each."""

from __future__ import annotations

import math

from stemcore import WeightSchedule
from tests.testing.mutation import Mutant, no_examples


class Sound(WeightSchedule):
    """Rises along a straight line, and stays.

    Args:
        to: the full weight.
    """

    def __init__(self, total_epochs: int, *, to: float = 0.1) -> None:
        super().__init__(total_epochs)
        self.to = to

    def weight(self, epoch: float) -> float:
        return self.to * min(1.0, epoch / self.total_epochs)


class Falling(Sound):
    def weight(self, epoch):
        return self.to * (1 - epoch / self.total_epochs)


class Endless(Sound):
    def weight(self, epoch):
        return math.inf if epoch == 0 else self.to / epoch


class Text(Sound):
    def weight(self, epoch):
        return "0.1"


class Counting(Sound):
    """Goes on at every call."""

    calls = 0

    def weight(self, epoch):
        self.calls += 1
        return 0.01 * self.calls


class BetweenTwo(Sound):
    def weight(self, epoch):
        return epoch / (self.total_epochs - 1)


SOUND = [(Sound, no_examples)]
MUTANTS = [
    Mutant("check_weights", Falling, "after 20.25 epochs the weight is -"),
    Mutant("check_weights", Endless, "after 0 epochs the weight is inf"),
    Mutant("check_weights", Text, "the weight is '0.1', not a number"),
    Mutant("check_depends_on_the_epoch_alone", Counting, "asked for again, backwards, the weight after"),
    Mutant("check_any_length", BetweenTwo, "in a run of 1 epochs it raised ZeroDivisionError"),
]
