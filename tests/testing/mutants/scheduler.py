"""Schedulers broken in one way each."""

from __future__ import annotations

import random
from types import SimpleNamespace

from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from tests.testing.mutation import Mutant, no_examples


def sound(optimizer, total_steps: int, *, every: int = 3) -> LRScheduler:
    """Halves the learning rate again and again.

    Args:
        every: after so many steps.
    """
    return StepLR(optimizer, every, gamma=0.5)


def below_zero(optimizer, total_steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1 - step / total_steps)


def no_scheduler(optimizer, total_steps: int):
    return SimpleNamespace(step=lambda: None)


def between_two(optimizer, total_steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1 + step / (total_steps - 1))


class Counting(StepLR):
    """Does not write down where it is."""

    def state_dict(self):
        return {**super().state_dict(), "last_epoch": 0}


class Talkative(StepLR):
    """Writes down an object."""

    def state_dict(self):
        return {**super().state_dict(), "me": Talkative}


def counting(optimizer, total_steps: int) -> LRScheduler:
    return Counting(optimizer, 3, gamma=0.5)


def talkative(optimizer, total_steps: int) -> LRScheduler:
    return Talkative(optimizer, 3, gamma=0.5)


def by_batches(optimizer, total_steps: int) -> LRScheduler:
    scheduler = StepLR(optimizer, 3)
    scheduler.interval = "batch"
    return scheduler


def unnamed(optimizer, total_steps: int) -> LRScheduler:
    scheduler = StepLR(optimizer, 3)
    scheduler.needs_metric = True
    return scheduler


def by_chance(optimizer, total_steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: random.random())


SOUND = [(sound, no_examples)]
MUTANTS = [
    Mutant("check_rates", below_zero, "at step 21 of 20 the learning rate is -"),
    Mutant("check_rates", no_scheduler, "has no method state_dict"),
    Mutant("check_any_length", between_two, "in a run of 1 steps it raised ZeroDivisionError"),
    Mutant("check_state", counting, "resumed after 1 steps, the rate at"),
    Mutant("check_state", talkative, "its state has more than tensors and primitive types"),
    Mutant("check_interval", by_batches, "its interval is 'batch'"),
    Mutant("check_interval", unnamed, "it needs a metric, and its monitor is None"),
    Mutant("check_repeats", by_chance, "two runs differ"),
]
