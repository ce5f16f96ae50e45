"""Optimizers broken in one way each."""

from __future__ import annotations

import torch
from torch.optim import LBFGS, SGD, Adam, Optimizer

from tests.testing.mutation import Mutant, no_examples


def sound(params, *, lr: float = 0.05) -> Optimizer:
    """Adam.

    Args:
        lr: learning rate.
    """
    return Adam(params, lr=lr)


def first_alone(params, *, lr: float = 0.05) -> Optimizer:
    return Adam(list(params)[:1], lr=lr)


def no_optimizer(params, *, lr: float = 0.05):
    return [lr, params]


def uphill(params, *, lr: float = 0.05) -> Optimizer:
    return SGD(params, lr=lr, maximize=True)


def with_closure(params, *, lr: float = 0.05) -> Optimizer:
    return LBFGS(params, lr=lr)


class Forgetful(Adam):
    """Does not write down its moments."""

    def state_dict(self):
        return {**super().state_dict(), "state": {}}


class Talkative(Adam):
    """Writes down an object."""

    def state_dict(self):
        return {**super().state_dict(), "me": Talkative}


class Stubborn(Adam):
    """Keeps its own learning rate."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.own = lr

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = self.own
        return super().step(closure)


class Shaking(SGD):
    """Moves everything."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= 1e-3 * torch.ones_like(p) * group["lr"]
        return super().step(closure)


def forgetful(params, *, lr: float = 0.05) -> Optimizer:
    return Forgetful(params, lr=lr)


def talkative(params, *, lr: float = 0.05) -> Optimizer:
    return Talkative(params, lr=lr)


def stubborn(params, *, lr: float = 0.05) -> Optimizer:
    return Stubborn(params, lr)


def another_rate(params, *, lr: float = 0.05) -> Optimizer:
    return Adam(params, lr=lr / 10)


def shaking(params, *, lr: float = 0.05) -> Optimizer:
    return Shaking(params, lr=lr)


SOUND = [(sound, no_examples)]
MUTANTS = [
    Mutant("check_owns_its_parameters", first_alone, "it owns 1 parameters, and was given 2"),
    Mutant("check_owns_its_parameters", no_optimizer, "it returned list, not a torch.optim.Optimizer"),
    Mutant("check_goes_downhill", uphill, "in 200 steps the loss went from"),
    Mutant("check_goes_downhill", with_closure, "a step raised TypeError"),
    Mutant("check_state", forgetful, "resumed after 5 of 12 steps, parameters end"),
    Mutant("check_state", talkative, "its state has more than tensors and primitive types"),
    Mutant("check_learning_rate", stubborn, "with a learning rate of 0 in its parameter groups it moved"),
    Mutant("check_learning_rate", another_rate, r"its lr is 0.05, its parameter groups have \[0.005"),
    Mutant("check_without_gradient", shaking, "it moved a parameter that had no gradient"),
]
