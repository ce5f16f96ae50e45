"""Noise schedules of diffusion, and what follows from them.

Steps count from 0, where an item is nearly clean, to ``timesteps - 1``, where it is nearly noise. ``x0`` is an item,
``xt`` the item at step t: xt = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise, with abar_t the product of (1 - beta) up to t
(Ho, Jain & Abbeel, NeurIPS 2020). SNR_t = abar_t / (1 - abar_t).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Schedule = Literal["linear", "cosine", "quadratic", "sigmoid", "exponential"]
Prediction = Literal["epsilon", "v", "x0"]
FIRST, LAST = 1e-4, 0.02
LARGEST = 0.999
DECAY = 12.0


def betas(schedule: Schedule, timesteps: int) -> list[float]:
    """The variances of the noise that each step adds.

    With s = i / (T - 1) for step i of T, b0 = 1e-4 and b1 = 0.02:

    - ``linear``: b0 + (b1 - b0) s (Ho et al.);
    - ``quadratic``: (sqrt(b0) + (sqrt(b1) - sqrt(b0)) s)^2;
    - ``sigmoid``: b0 + (b1 - b0) / (1 + exp(-(12 s - 6)));

    these are for 1,000 steps, and multiplied by 1000 / T for others, so that the last step is as noisy;

    - ``cosine``: 1 - abar(i + 1) / abar(i) with abar(i) = cos^2((i / T + 0.008) / 1.008 pi / 2) (Nichol & Dhariwal,
      ICML 2021);
    - ``exponential``: the same with abar(i) = exp(-12 i / T).

    No variance exceeds 0.999.
    """
    if schedule in ("cosine", "exponential"):
        left = [_left(schedule, i / timesteps) for i in range(timesteps + 1)]
        values = [1 - left[i + 1] / left[i] for i in range(timesteps)]
    else:
        values = [1000 / timesteps * _rise(schedule, i / max(1, timesteps - 1)) for i in range(timesteps)]
    return [min(LARGEST, value) for value in values]


def _left(schedule: Schedule, s: float) -> float:
    """abar, the share of the item's variance that is left at s, from 0 to 1."""
    return math.cos((s + 0.008) / 1.008 * math.pi / 2) ** 2 if schedule == "cosine" else math.exp(-DECAY * s)


def _rise(schedule: Schedule, s: float) -> float:
    """The variance of a step at s, from 0 to 1, of 1,000 steps."""
    if schedule == "linear":
        return FIRST + (LAST - FIRST) * s
    if schedule == "quadratic":
        return (math.sqrt(FIRST) + (math.sqrt(LAST) - math.sqrt(FIRST)) * s) ** 2
    return FIRST + (LAST - FIRST) / (1 + math.exp(6 - 12 * s))


class NoiseSchedule(nn.Module):
    """A schedule, with what is computed of it for tensors (n, ...) at steps (n,).

    Attributes:
        abar: the share of an item's variance that is left at each step, in double precision.

    Args:
        schedule: which.
        timesteps: from an item to noise.
    """

    item: Tensor
    spread: Tensor
    ratio: Tensor

    def __init__(self, schedule: Schedule, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.abar: tuple[float, ...] = tuple(_products([1 - b for b in betas(schedule, timesteps)]))
        shares: dict[str, Callable[[float], float]] = {
            "item": math.sqrt,
            "spread": lambda a: math.sqrt(1 - a),
            "ratio": lambda a: a / (1 - a),
        }
        for name, share in shares.items():
            # They follow from the configuration: a checkpoint need not hold them.
            self.register_buffer(name, torch.tensor([share(a) for a in self.abar]), persistent=False)

    def noised(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """xt of items, by noise of the same shape."""
        return _at(self.item, t, x0) * x0 + _at(self.spread, t, x0) * noise

    def wanted(self, prediction: Prediction, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What a network is to say of xt: the noise; v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans & Ho, ICLR
        2022); or x0."""
        if prediction == "epsilon":
            return noise
        if prediction == "x0":
            return x0
        return _at(self.item, t, x0) * noise - _at(self.spread, t, x0) * x0

    def clean(self, prediction: Prediction, estimate: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """x0 by what a network said of xt."""
        if prediction == "x0":
            return estimate
        item, spread = _at(self.item, t, xt), _at(self.spread, t, xt)
        if prediction == "epsilon":
            return (xt - spread * estimate) / item
        return item * xt - spread * estimate

    def weight(self, prediction: Prediction, t: Tensor, gamma: float | None) -> Tensor:
        """The weights (n,) of squared errors: 1, or those of min-SNR-gamma (Hang et al., ICCV 2023), which count the
        error of x0 by min(SNR, gamma): that over SNR for the noise, over SNR + 1 for v."""
        ratio = self.ratio[t]
        if gamma is None:
            return torch.ones_like(ratio)
        capped = ratio.clamp(max=gamma)
        return {"epsilon": capped / ratio, "v": capped / (ratio + 1), "x0": capped}[prediction]


def _products(values: list[float]) -> list[float]:
    found, product = [], 1.0
    for value in values:
        product *= value
        found.append(product)
    return found


def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """The value of each item's step, (n, 1, ...)."""
    return values[t].reshape(-1, *(1 for _ in like.shape[1:]))
