"""Lp penalty on the activations of the latent."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss


class LpActivation(Loss):
    """Lp penalty on the latent, (1/B) sum_b sum_d |z_bd|^p: small and, for p <= 1, sparse activations.

    A latent of exactly zero costs exactly zero and has a gradient of zero for every p. ``p: 1`` is the L1 sparsity term
    of sparse autoencoders, ``p: 2`` a quadratic one, p < 1 is sparser still and not convex.

    Args:
        p: the exponent.
        reduction: over the latent's dimensions; the mean is taken over the batch either way, so that the value does
            not depend on the batch size. With ``mean`` it does not depend on the latent's width either.
    """

    def __init__(self, *, p: Annotated[float, Field(gt=0)] = 1.0, reduction: Literal["sum", "mean"] = "sum") -> None:
        super().__init__()
        self.p = p
        self.reduction = reduction

    def forward(self, latent: Tensor) -> Tensor:
        """The penalty, a scalar, of latents (n, ...)."""
        size = latent.abs().flatten(1)
        # The slope p |z|^(p-1) of p < 1 is infinite at zero, so zeros (and subnormals, where it overflows) are taken
        # out before the power is: masking its result alone would leave 0 * inf = NaN in the gradient.
        nonzero = size >= torch.finfo(size.dtype).tiny
        power = torch.where(nonzero, torch.where(nonzero, size, 1.0).pow(self.p), 0.0)
        return (power.sum(1) if self.reduction == "sum" else power.mean(1)).mean()
