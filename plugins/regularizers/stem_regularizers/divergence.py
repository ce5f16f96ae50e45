"""Divergence penalties: a batch whose latents are all alike."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss


class Divergence(Loss):
    """Lack of diversity among a batch's latents; minimising it drives them apart, against collapse.

    - ``inverse_variance``: mean_d 1 / (var_b(z_d) + eps), with the variance over the batch about its mean, divided by
      B - 1 as ``torch.var`` does. A unit that is the same for every item costs 1 / eps: it outweighs the others
      and moves only by what tells its items apart, so raise ``eps`` where rectified units die;
    - ``pairwise``: -mean over i != j of |z_i - z_j|, the Euclidean distance; negative, and without a lower bound, so
      give it a small weight. Equal items have no direction in which to part: their gradient is zero.

    It is zero for a batch of fewer than two.

    Args:
        mode: the formula.
        eps: of ``inverse_variance``: added to each variance.
    """

    def __init__(
        self,
        *,
        mode: Literal["inverse_variance", "pairwise"] = "inverse_variance",
        eps: Annotated[float, Field(gt=0)] = 1e-8,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.eps = eps

    def forward(self, latent: Tensor) -> Tensor:
        """The penalty, a scalar, of latents (n, ...)."""
        n = len(latent)
        if n < 2:
            return latent.sum() * 0.0
        z = latent.flatten(1)
        if self.mode == "inverse_variance":
            return (1.0 / (z.var(0, correction=1) + self.eps)).mean()
        # By matrix products |a|^2 + |b|^2 - 2ab would lose the distances that matter most, those of close items.
        distance = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
        return -distance.sum() / (n * (n - 1))
