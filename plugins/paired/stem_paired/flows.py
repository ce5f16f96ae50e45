"""Planar flows: invertible maps of latents whose change of volume is cheap to compute."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST = 1e-3
"""w.u' is at least this above -1: nearer, the change of volume could not be told from zero in float32."""
SHIFT = math.log(math.expm1(1.0 - LEAST))
"""With it w.u' = 0 where w.u = 0, so that a flow can begin as the identity."""
TINY = 1e-12


class PlanarFlow(nn.Module):
    """f(z) = z + u' tanh(w.z + b) (Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015, eq. 10).

    u' is u with its part along w moved, so that w.u' = softplus(w.u + SHIFT) - 1 + LEAST is above -1 and f invertible
    (their appendix A.1). At first u = 0, and f is the identity.

    Args:
        dims: latent values.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(dims) * dims**-0.5)
        self.u = nn.Parameter(torch.zeros(dims))
        self.b = nn.Parameter(torch.zeros(()))

    def direction(self) -> tuple[Tensor, Tensor]:
        """u' (dims,) and w.u'."""
        along = (self.w * self.u).sum()
        wanted = functional.softplus(along + SHIFT) - 1.0 + LEAST
        return self.u + (wanted - along) * self.w / (self.w.square().sum() + TINY), wanted

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points (..., dims) carried on, and log |det df/dz| at them, (...)."""
        u, along = self.direction()
        # Sums of products, not matrix products: autocast would round those.
        slope = torch.tanh((z * self.w).sum(dim=-1) + self.b)
        return z + u * slope[..., None], torch.log1p((1.0 - slope.square()) * along)


class PlanarFlows(nn.ModuleList):
    """Planar flows one after the other.

    Args:
        dims: latent values.
        flows: how many.
    """

    def __init__(self, dims: int, flows: int) -> None:
        super().__init__(PlanarFlow(dims) for _ in range(flows))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points (..., dims) carried on, and the logarithm of the change of volume at them, (...)."""
        volume = torch.zeros_like(z[..., 0])
        for flow in self:
            z, log_det = flow(z)
            volume = volume + log_det
        return z, volume
