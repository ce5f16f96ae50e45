"""Diagonal Gaussian posteriors, their draws and densities, and mixtures of them."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

LOG_TWO_PI = math.log(2.0 * math.pi)


class Gaussian(NamedTuple):
    """A Gaussian for each item, its coordinates independent.

    Attributes:
        mu: means (n, dims).
        logvar: logarithms of the variances (n, dims).
    """

    mu: Tensor
    logvar: Tensor

    def drawn(self) -> Tensor:
        """A draw (n, dims) through which gradients reach both mean and variance."""
        return self.at(torch.randn_like(self.mu))

    def at(self, deviations: Tensor | float) -> Tensor:
        """The points that lie so many standard deviations from the means, (..., n, dims)."""
        return self.mu + torch.exp(0.5 * self.logvar) * deviations

    def log_density(self, z: Tensor) -> Tensor:
        """The logarithm of each item's density at points (..., n, dims), as (..., n)."""
        return log_gaussian(z, self.mu, self.logvar)


def log_gaussian(x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """The logarithm of a density whose coordinates, the last axis, are independent Gaussians."""
    return -0.5 * (LOG_TWO_PI + logvar + (x - mean).square() * torch.exp(-logvar)).sum(dim=-1)


def log_standard(z: Tensor) -> Tensor:
    """The logarithm of the standard normal density at points (..., dims)."""
    return -0.5 * (LOG_TWO_PI + z.square()).sum(dim=-1)


def log_mixture(z: Tensor, parts: Gaussian) -> Tensor:
    """The logarithm of the density of a mixture in which every Gaussian has the same weight.

    Squares are multiplied out, so that n points and m Gaussians take memory for n x m values and not n x m x dims, with
    coordinates counted from the centre of the mixture, near which points are: little is lost to rounding.

    Args:
        z: points (..., dims).
        parts: the Gaussians, (m, dims).
    """
    with full_precision(z):
        centre = parts.mu.mean(dim=0).detach()
        x, mu, precision = single(z) - centre, single(parts.mu) - centre, torch.exp(-single(parts.logvar))
        constant = (mu.square() * precision + parts.logvar + LOG_TWO_PI).sum(dim=-1)
        squares = x.square() @ precision.T - 2.0 * x @ (mu * precision).T + constant
        return torch.logsumexp(-0.5 * squares, dim=-1) - math.log(len(mu))


def single(x: Tensor) -> Tensor:
    """Values of half precision in float32; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Within it, products are not rounded to the half precision of autocast: differences of large numbers count."""
    device = x.device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
