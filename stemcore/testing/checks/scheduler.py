"""What a scheduler of the learning rate promises."""

from __future__ import annotations

import math
from typing import Any

import torch

from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import TOTAL, parameters
from stemcore.testing.checks.optimizer import through_a_file
from stemcore.testing.promises import Broken, ensure, promise
from stemcore.testing.subject import Subject

LR = 0.1


class _Course:
    """An optimizer with the scheduler on it, stepped as the trainer steps them."""

    def __init__(self, subject: Subject, total: int = TOTAL) -> None:
        self.optimizer = torch.optim.SGD(parameters(subject), lr=LR, momentum=0.9)
        self.scheduler: Any = subject.build(self.optimizer, total)
        for name in ("step", "state_dict", "load_state_dict"):
            ensure(callable(getattr(self.scheduler, name, None)), f"what it returned has no method {name}")
        self.number = 0

    def rates(self, steps: int) -> list[float]:
        """The learning rates in so many steps."""
        found = []
        for _ in range(steps):
            found.append(float(self.optimizer.param_groups[0]["lr"]))
            self.optimizer.step()
            # A loss that falls, and then does not.
            value = (max(0.2, 1 - 0.1 * self.number),) if getattr(self.scheduler, "needs_metric", False) else ()
            self.scheduler.step(*value)
            self.number += 1
        return found


@promise("scheduler")
def check_rates(subject: Subject) -> None:
    """Learning rates are finite and not negative, over the whole run and when it goes on for longer than planned."""
    for number, rate in enumerate(_Course(subject).rates(2 * TOTAL + 3)):
        ensure(math.isfinite(rate) and rate >= 0, f"at step {number} of {TOTAL} the learning rate is {rate}")


@promise("scheduler")
def check_any_length(subject: Subject) -> None:
    """Runs of one step, of two and of a thousand are possible: a trial run is short."""
    for total in (1, 2, 1000):
        try:
            rates = _Course(subject, total).rates(total + 1)
        except (ArithmeticError, ValueError, IndexError, RuntimeError) as error:
            raise Broken(f"in a run of {total} steps it raised {cause_of(error)}") from error
        ensure(all(math.isfinite(rate) for rate in rates), f"in a run of {total} steps the learning rate is not finite")


@promise("scheduler")
def check_state(subject: Subject) -> None:
    """Its state, written to a checkpoint and read into a new one, gives the learning rates that would have come."""
    expected = _Course(subject).rates(TOTAL)
    for done in (0, 1, 7):
        first, second = _Course(subject), _Course(subject)
        seen = first.rates(done)
        second.optimizer.load_state_dict(through_a_file(first.optimizer.state_dict()))
        second.scheduler.load_state_dict(through_a_file(first.scheduler.state_dict()))
        second.number = first.number
        seen += second.rates(TOTAL - done)
        wrong = next((n for n, (a, b) in enumerate(zip(seen, expected, strict=True)) if a != b), None)
        if wrong is not None:
            raise Broken(f"resumed after {done} steps, the rate at {wrong} is {seen[wrong]:g}, not {expected[wrong]:g}")


@promise("scheduler")
def check_interval(subject: Subject) -> None:
    """If it says when it is to be stepped, then ``step`` or ``epoch``; one that needs a metric names it: anything else
    would never be stepped, without a word."""
    scheduler = _Course(subject).scheduler
    interval = getattr(scheduler, "interval", "epoch")
    ensure(interval in ("step", "epoch"), f"its interval is {interval!r}, which is neither 'step' nor 'epoch'")
    if getattr(scheduler, "needs_metric", False):
        monitor = getattr(scheduler, "monitor", None)
        ensure(isinstance(monitor, str) and "/" in monitor, f"it needs a metric, and its monitor is {monitor!r}")


@promise("scheduler")
def check_repeats(subject: Subject) -> None:
    """It depends on the configuration and the steps alone, not on chance."""
    first, second = (_Course(subject).rates(TOTAL) for _ in range(2))
    ensure(first == second, f"two runs differ: {first[:4]}... and {second[:4]}...")
