"""Planar flows: invertible maps of latents whose change of volume is cheap to compute."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlanarFlow(nn.Module):
    """f(z) = z + u' tanh(w.z + b) (Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015, eq. 10).

    u' is u with its part along w moved, so that w.u' = softplus(w.u) - 1 > -1 and f is invertible (their appendix A.1).
    At first w is random and w.u' = 0 with u' = 0: f is the identity.

    Args:
        dims: latent values.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(dims) * dims**-0.5)
        self.u = nn.Parameter(torch.zeros(dims))
        self.b = nn.Parameter(torch.zeros(()))

    def direction(self) -> Tensor:
        """u', for which w.u' > -1."""
        along = (self.w * self.u).sum()
        wanted = functional.softplus(along + ZERO) - 1.0
        return self.u + (wanted - along) * self.w / (self.w.square().sum() + TINY)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points (..., dims) carried on, and log |det df/dz| at them, (...)."""
        u = self.direction()
        # Sums of products, not matrix products: autocast would round those.
        slope = torch.tanh((z * self.w).sum(dim=-1) + self.b)
        log_det = torch.log1p((1.0 - slope.square()) * (self.w * u).sum())
        return z + u * slope[..., None], log_det


ZERO = 0.5413248546129181
"""softplus(ZERO) = 1: with it w.u = 0 gives w.u' = 0, so that a flow can begin as the identity."""
TINY = 1e-12


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
