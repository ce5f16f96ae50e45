"""Denoising diffusion over vectors: the formulas of Ho, Jain & Abbeel, NeurIPS 2020 (DDPM), and of Song, Meng & Ermon,
ICLR 2021 (DDIM).

Steps count from 0, where an item is nearly clean, to ``steps - 1``, where it is nearly noise. ``x0`` is an item, ``xt``
the item at step t: xt = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise, with abar_t the product of (1 - beta) up to t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Schedule = Literal["linear", "cosine"]
Predictor = Callable[[Tensor, Tensor], Tensor]
"""From items (n, ...) at steps (n,), integers, to the noise in them (n, ...)."""


def betas(schedule: Schedule, steps: int) -> Tensor:
    """The variances of the noise that each step adds, (steps,) in float64.

    ``linear`` is that of Ho et al., from 1e-4 to 0.02 in 1,000 steps, its ends scaled by 1000 / steps so that the last
    step is as noisy with fewer; ``cosine`` is that of Nichol & Dhariwal (ICML 2021), abar following
    cos^2((t + 0.008) / 1.008 pi / 2). No variance exceeds 0.999.
    """
    # Plain numbers, so that the schedule is the same on every device, also one without float64.
    if schedule == "linear":
        rise = [1e-4 + (0.02 - 1e-4) * i / max(1, steps - 1) for i in range(steps)]
        values = [1000 / steps * b for b in rise]
    else:
        left = [math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(steps + 1)]
        values = [1 - after / before for before, after in pairwise(left)]
    return torch.tensor([min(0.999, b) for b in values], dtype=torch.float64, device="cpu")


class Diffusion(nn.Module):
    """A noise schedule and what follows from it.

    Args:
        schedule: linear or cosine.
        steps: from an item to noise.
    """

    # The shares of item and noise in xt and in x(t-1), those of x0 and xt in the mean of x(t-1), and the deviation.
    item: Tensor
    spread: Tensor
    item_before: Tensor
    spread_before: Tensor
    from_clean: Tensor
    from_noisy: Tensor
    deviation: Tensor

    def __init__(self, schedule: Schedule, steps: int) -> None:
        super().__init__()
        self.steps = steps
        beta = betas(schedule, steps)
        abar = torch.cumprod(1 - beta, dim=0)
        before = torch.cat([torch.ones_like(beta[:1]), abar[:-1]])
        known = {
            "item": abar.sqrt(),
            "spread": (1 - abar).sqrt(),
            "item_before": before.sqrt(),
            "spread_before": (1 - before).sqrt(),
            "from_clean": before.sqrt() * beta / (1 - abar),
            "from_noisy": (1 - beta).sqrt() * (1 - before) / (1 - abar),
            "deviation": torch.cat([torch.zeros_like(beta[:1]), beta[1:].sqrt()]),
        }
        place = torch.empty(0).device  # where modules are being built, the meta device included
        for name, values in known.items():
            # They follow from the configuration: a checkpoint need not hold them.
            self.register_buffer(name, values.float().to(place), persistent=False)

    def noised(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """xt, a draw of q(xt | x0) by ``noise`` (n, ...), at steps ``t`` (n,)."""
        return _at(self.item, t, x0) * x0 + _at(self.spread, t, x0) * noise

    def clean(self, xt: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x0, of which ``noise`` made ``xt``."""
        return (xt - _at(self.spread, t, xt) * noise) / _at(self.item, t, xt)

    def posterior_mean(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """The mean of q(x(t-1) | xt, x0), eq. 7 of Ho et al."""
        return _at(self.from_clean, t, xt) * x0 + _at(self.from_noisy, t, xt) * xt

    def denoised(self, xt: Tensor, t: Tensor, noise: Tensor, fresh: Tensor) -> Tensor:
        """x(t-1) of the ancestral sampler: the posterior's mean at the x0 that ``noise`` gives, and ``fresh`` noise of
        the variance beta, none at step 0.

        Of the two variances of Ho et al. it is the one that is exact where items are themselves normal with variance 1,
        as standardized features nearly are; the other one, of the posterior, makes draws too narrow in few steps.
        """
        mean = self.posterior_mean(self.clean(xt, t, noise), xt, t)
        return mean + _at(self.deviation, t, xt) * fresh

    def ddim(self, xt: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x(t-1) of the deterministic sampler, eq. 12 of Song et al. with eta 0."""
        return _at(self.item_before, t, xt) * self.clean(xt, t, noise) + _at(self.spread_before, t, xt) * noise

    def sample(self, predictor: Predictor, start: Tensor, *, deterministic: bool = False) -> Tensor:
        """Items (n, ...) from noise ``start`` (n, ...), step by step downwards."""
        x = start
        for step in range(self.steps - 1, -1, -1):
            t = torch.full((len(x),), step, device=x.device)
            noise = predictor(x, t)
            x = self.ddim(x, t, noise) if deterministic else self.denoised(x, t, noise, torch.randn_like(x))
        return x


def step_embedding(t: Tensor, width: int) -> Tensor:
    """Steps (n,) as sines and cosines (n, width) of wavelengths from 2 pi to 20,000 pi; ``width`` is even.

    In float32, whatever the precision of the run: bfloat16 has no 257.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.to(torch.float32)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """The value of each item's step, (n, 1, ...)."""
    return values[t].reshape(-1, *(1 for _ in like.shape[1:]))
