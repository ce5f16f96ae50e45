"""What a schedule of a loss term's weight promises."""

from __future__ import annotations

import math

from stemcore.component.weight_schedule import WeightSchedule
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import TOTAL
from stemcore.testing.promises import Broken, ensure, promise
from stemcore.testing.subject import Subject

QUARTERS = [n / 4 for n in range(4 * TOTAL + 9)]
"""Epochs of a run, with fractions, and a little beyond its end."""


def _weight(schedule: WeightSchedule, epoch: float) -> float:
    value = schedule.weight(epoch)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    ensure(number, f"after {epoch:g} epochs the weight is {value!r}, not a number")
    ensure(math.isfinite(value) and value >= 0, f"after {epoch:g} epochs the weight is {value}")
    return float(value)


@promise("weight_schedule")
def check_weights(subject: Subject) -> None:
    """Weights are finite and not negative at the beginning, within an epoch, at the end and after it: a negative one
    would turn a loss around."""
    schedule = subject.build(TOTAL)
    for epoch in QUARTERS:
        _weight(schedule, epoch)


@promise("weight_schedule")
def check_depends_on_the_epoch_alone(subject: Subject) -> None:
    """The weight is the same however often and in what order it is asked for: a resumed run begins in the middle."""
    there = subject.build(TOTAL)
    forward = [_weight(there, epoch) for epoch in QUARTERS]
    for name, schedule in (("again", there), ("by another one", subject.build(TOTAL))):
        back = [_weight(schedule, epoch) for epoch in reversed(QUARTERS)][::-1]
        wrong = next((e for e, a, b in zip(QUARTERS, forward, back, strict=True) if a != b), None)
        ensure(wrong is None, f"asked for {name}, backwards, the weight after {wrong} epochs is another")


@promise("weight_schedule")
def check_any_length(subject: Subject) -> None:
    """Runs of one epoch, of two and of a thousand are possible: a trial run is short."""
    for total in (1, 2, 1000):
        try:
            schedule = subject.build(total)
            for epoch in (0, 0.5, 1, total / 2, total):
                _weight(schedule, epoch)
        except (ArithmeticError, ValueError, IndexError) as error:
            raise Broken(f"in a run of {total} epochs it raised {cause_of(error)}") from error
