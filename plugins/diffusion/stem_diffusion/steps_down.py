"""Samplers: from noise to items, step by step downwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, Protocol

from torch import Tensor

from stemcore import optional_module

SamplerName = Literal["ddpm", "ddim", "dpm++"]
LEAST = math.exp(-5.1)
"""The least sqrt(SNR) that sampling by predicted noise begins at. Where less than that is left of an item, an error of
the noise is divided by next to nothing to give the item. Lu et al. cut cosine schedules off there, too. What is left
there is next to nothing for a pixel and not quite for the mean of many: other predictions begin at the very end."""


class Stepper(Protocol):
    """One step of a sampler."""

    def __call__(self, k: int, x: Tensor, x0: Tensor) -> Tensor:
        """The items after step number ``k`` of those that are taken, from ``x`` (n, ...) before it and the clean items
        ``x0`` that the model sees in it."""


def steps_down(abar: tuple[float, ...], steps: int | None, least: float = 0.0) -> list[int]:
    """The steps to visit, from the noisiest one that is of use down: all of them, or so many, evenly spaced.

    Args:
        abar: the share of an item's variance that is left at each step.
        steps: how many; all where there are not as many.
        least: sqrt(SNR) below which a step is of no use.
    """
    useful = max(1, sum(a >= least**2 * (1 - a) for a in abar))
    count = useful if steps is None else min(steps, useful)
    return [round(useful - k * useful / count) - 1 for k in range(count)]


def stepper(
    name: SamplerName, abar: tuple[float, ...], down: list[int], eta: float, fresh: Callable[[], Tensor]
) -> Stepper:
    """The sampler called ``name``.

    Args:
        name: ``ddpm`` (Ho et al. 2020), which adds noise at every step; ``ddim`` (Song, Meng & Ermon, ICLR 2021), which
            adds ``eta`` of that; or ``dpm++`` (Lu et al. 2022, DPM-Solver++(2M)), the one for few steps.
        abar: the share of an item's variance that is left at each step.
        down: the steps to visit.
        eta: of ``ddim``.
        fresh: noise like the items, new at every call.
    """
    if name == "dpm++":
        return _solver(abar, down)
    return _ddim(abar, down, 1.0 if name == "ddpm" else eta, fresh)


def _ddim(abar: tuple[float, ...], down: list[int], eta: float, fresh: Callable[[], Tensor]) -> Stepper:
    """Eq. 12 and 16 of Song et al.; with ``eta`` 1 it is the sampler of Ho et al., by the variance of the posterior.

    Not the one of diffusers, which counts on a number of steps that divides all of them.
    """
    levels = [abar[t] for t in down] + [1.0]

    def step(k: int, x: Tensor, x0: Tensor) -> Tensor:
        now, after = levels[k], levels[k + 1]
        if after == 1.0:
            return x0
        noise = (x - math.sqrt(now) * x0) / math.sqrt(1 - now)
        deviation = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))
        x = math.sqrt(after) * x0 + math.sqrt(1 - after - deviation**2) * noise
        return x + deviation * fresh() if deviation else x

    return step


def _solver(abar: tuple[float, ...], down: list[int]) -> Stepper:
    diffusers: Any = optional_module("diffusers", "the sampler 'dpm++'", install="stemcore[diffusion]")
    before = [1.0, *abar[:-1]]
    scheduler = diffusers.DPMSolverMultistepScheduler(
        num_train_timesteps=len(abar),
        trained_betas=[1 - a / b for a, b in zip(abar, before, strict=True)],
        algorithm_type="dpmsolver++",
        prediction_type="sample",
    )
    scheduler.set_timesteps(timesteps=down)

    def step(k: int, x: Tensor, x0: Tensor) -> Tensor:
        return scheduler.step(x0, scheduler.timesteps[k], x).prev_sample

    return step
