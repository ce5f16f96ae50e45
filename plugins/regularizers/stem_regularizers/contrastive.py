"""Contrastive penalties: latents of a batch that point the same way."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss

SHORTEST = 1e-12


class Contrastive(Loss):
    """Similarity of the directions of a batch's latents; minimising it spreads them.

    With zhat = z / |z| and cos_ij = zhat_i . zhat_j the modes are

    - ``infonce``: mean_i [-S_ii + log sum_j exp S_ij], S = cos / temperature (each item its own positive, the rest of
      the batch its negatives; after van den Oord et al., arXiv:1807.03748); between 0 and log B;
    - ``cosine``: mean of cos_ij over the pairs i < j (Ludacka et al.); between -1/(B - 1) and 1;
    - ``margin``: mean of relu(cos_ij - margin) over the pairs i < j.

    It is zero for a batch of fewer than two. A latent shorter than 1e-12 has no direction: zhat is zero there, and
    so is its gradient.

    Args:
        mode: the formula.
        temperature: of ``infonce``: the smaller, the more the nearest neighbours count.
        margin: of ``margin``: the cosine up to which latents may be alike at no cost.
    """

    def __init__(
        self,
        *,
        mode: Literal["infonce", "cosine", "margin"] = "infonce",
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        margin: Annotated[float, Field(ge=-1, lt=1)] = 0.5,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.temperature = temperature
        self.margin = margin

    def forward(self, latent: Tensor) -> Tensor:
        """The penalty, a scalar, of latents (n, ...)."""
        n = len(latent)
        if n < 2:
            return latent.sum() * 0.0
        direction = directions(latent.flatten(1))
        cosine = direction @ direction.T
        if self.mode == "infonce":
            similarity = cosine / self.temperature
            return (similarity.logsumexp(1) - similarity.diagonal()).mean()
        cost = cosine if self.mode == "cosine" else (cosine - self.margin).relu()
        itself = torch.eye(n, dtype=torch.bool, device=cost.device)
        return cost.masked_fill(itself, 0.0).sum() / (n * (n - 1))


def directions(latent: Tensor) -> Tensor:
    """Latents (n, d) divided by their lengths; zero, without a gradient, where there is no length to divide by."""
    length = torch.linalg.vector_norm(latent, dim=1, keepdim=True)
    directed = length >= SHORTEST
    return torch.where(directed, latent / torch.where(directed, length, 1.0), 0.0)
