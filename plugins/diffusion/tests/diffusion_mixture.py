"""A diffusion model that needs no training: how a mixture of normal distributions looks through noise is known."""

from __future__ import annotations

import numpy as np
import torch
from stem_diffusion.diffusion import Diffusion

from stemcore import DataSpec, FieldSpec

MEANS = torch.tensor([[-2.0, 0.0], [1.0, 1.8], [1.5, -1.5]])
SHARES = torch.tensor([0.5, 0.3, 0.2])
DEVIATIONS = torch.tensor([0.3, 0.5, 0.2])


class ExactDiffusion(Diffusion):
    """The best possible answer for the mixture; with a label the one for that class."""

    def __init__(self, **settings: object) -> None:
        fields = FieldSpec("input", (2,)), FieldSpec("label", (), "int64", classes=("a", "b", "c"))
        super().__init__(DataSpec({f.name: f for f in fields}), **settings)

    def estimated(self, xt, t, given, kept):
        item, spread = self.schedule.item[t, None, None], self.schedule.spread[t, None, None]
        means, variances = item * MEANS, item**2 * DEVIATIONS[:, None] ** 2 + spread**2
        away = xt[:, None] - means
        logs = SHARES.log() - (away**2 / variances).sum(-1) / 2 - variances[..., 0].log()
        shares = logs.softmax(dim=1)
        if (label := given.get("label")) is not None:
            only = torch.nn.functional.one_hot(label, 3).float()
            shares = torch.where(kept[:, None], only, shares)
        seen = MEANS + item * DEVIATIONS[:, None] ** 2 / variances * away
        x0 = (shares[..., None] * seen).sum(dim=1)
        noise = (xt - item[:, 0] * x0) / spread[:, 0]
        return self.schedule.wanted(self.prediction, x0, t, noise)


def shares_of(samples: np.ndarray) -> np.ndarray:
    """The shares of samples (n, 2) nearest to each mean."""
    nearest = ((samples[:, None] - MEANS.numpy()) ** 2).sum(-1).argmin(1)
    return np.bincount(nearest, minlength=3) / len(samples)


def drawn(n: int, seed: int = 0) -> np.ndarray:
    """Points (n, 2) of the mixture."""
    rng = np.random.default_rng(seed)
    which = rng.choice(3, n, p=SHARES.double().numpy() / SHARES.double().sum().item())
    return MEANS.numpy()[which] + DEVIATIONS.numpy()[which, None] * rng.normal(size=(n, 2))


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Of two samples (n, d): 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely & Rizzo 2013), without bias."""
    from scipy.spatial.distance import cdist, pdist

    return float(2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean())
