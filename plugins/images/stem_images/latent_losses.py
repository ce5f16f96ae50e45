"""What keeps latents in a range that a diffusion model can be trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from stemcore import Loss


class LatentStandardisation(Loss):
    """mean(z)^2 + (std(z) - 1)^2 over all values z of the latents of a batch, with the standard deviation of a
    population (divided by their number). It is zero for latents of mean 0 and standard deviation 1, whatever their
    distribution.

    Args:
        per_channel: whether each channel (axis 1) is to have mean 0 and standard deviation 1 by itself; the loss is
            then the mean over channels.
    """

    def __init__(self, *, per_channel: bool = False) -> None:
        super().__init__()
        self.per_channel = per_channel

    def forward(self, latent: Tensor) -> Tensor:
        """The loss, a scalar >= 0, of latents (n, ...)."""
        rows = latent.transpose(0, 1).flatten(1) if self.per_channel else latent.reshape(1, -1)
        mean = rows.mean(1)
        variance = (rows - mean[:, None]).square().mean(1)
        varies = variance > 0  # The square root has no gradient at 0.
        deviation = torch.where(varies, torch.where(varies, variance, 1.0).sqrt(), 0.0)
        return (mean.square() + (deviation - 1).square()).mean()
