"""Mean and squared deviations of values that come in batches, merged in float64 (Chan, Golub, LeVeque 1983)."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Count, mean and sum of squared deviations over all values."""

    def __init__(self) -> None:
        self._parts = (0.0, 0.0, 0.0)

    @property
    def count(self) -> float:
        """Number of values."""
        return self._parts[0]

    @property
    def mean(self) -> Tensor:
        """Their mean ()."""
        return torch.tensor(self._parts[1], dtype=torch.float64, device="cpu")

    @property
    def squares(self) -> float:
        """Sum of their squared deviations from the mean."""
        return self._parts[2]

    def add(self, x: Tensor, mask: Tensor | None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape) is false a value does not count."""
        held = torch.tensor(self._parts, dtype=torch.float64, device="cpu")
        self._parts = _merge(torch.cat([held[:, None], _moments(x, mask)], dim=1))


class PixelMoments:
    """Count, mean and sum of squared deviations of each pixel, or of each feature of a table.

    A pixel that is never valid has mean 0.
    """

    def __init__(self) -> None:
        self.counts = self.mean = self.deviations = torch.zeros((), dtype=torch.float64, device="cpu")

    @property
    def count(self) -> float:
        """Number of values of all pixels."""
        return float(self.counts.sum())

    @property
    def squares(self) -> float:
        """Sum over all pixels of their squared deviations, each from the mean of its pixel."""
        return float(self.deviations.sum())

    def add(self, x: Tensor, mask: Tensor | None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape) is false a value does not count."""
        if mask is None:
            counts = torch.full_like(x[0], len(x))
            means = x.mean(dim=0)
            deviations = x - means
        else:
            counts = mask.sum(dim=0).to(x.dtype)
            means = torch.where(mask, x, 0).sum(dim=0) / counts.clamp(min=1)
            deviations = torch.where(mask, x - means, 0)
        left, squares = deviations.sum(dim=0), deviations.square_().sum(dim=0)
        counts, means, left, squares = (t.cpu().double() for t in (counts, means, left, squares))
        shift = left / counts.clamp(min=1)  # the rounding of the batch's means, mended
        self._merge(counts, means + shift, (squares - left * shift).clamp(min=0))

    def _merge(self, counts: Tensor, means: Tensor, squares: Tensor) -> None:
        total = (self.counts + counts).clamp(min=1)
        delta = means - self.mean
        self.deviations = self.deviations + squares + delta.square() * self.counts * counts / total
        self.mean = self.mean + delta * counts / total
        self.counts = self.counts + counts


def _moments(x: Tensor, mask: Tensor | None) -> Tensor:
    """Count, mean and sum of squared deviations (3, n) of each item, in float64 on the host.

    The corrected two-pass algorithm: what the deviations still sum to mends the rounding of the mean. On a CPU it is
    many times as fast as ``torch.var_mean``, whose running update does not vectorise.
    """
    rows = x.reshape(x.shape[0], -1)
    if mask is None:
        mean = rows.mean(dim=1)
        count = torch.full_like(mean, rows.shape[1])
        deviations = rows - mean[:, None]
    else:
        valid = mask.reshape(rows.shape)
        count = valid.sum(dim=1).to(rows.dtype)
        mean = torch.where(valid, rows, 0).sum(dim=1) / count.clamp(min=1)
        deviations = torch.where(valid, rows - mean[:, None], 0)
    parts = torch.stack([count, mean, deviations.sum(dim=1), deviations.square_().sum(dim=1)])
    count, mean, left, squares = parts.cpu().double()
    shift = left / count.clamp(min=1)
    return torch.stack([count, mean + shift, (squares - left * shift).clamp(min=0)])


def _merge(parts: Tensor) -> tuple[float, float, float]:
    """Count, mean and sum of squared deviations of the whole, from those (3, k) of its parts."""
    count, mean, squares = parts
    total = count.sum()
    if total == 0:
        return 0.0, 0.0, 0.0
    merged = (count * mean).sum() / total
    between = (count * (mean - merged).square()).sum()
    return float(total), float(merged), float(squares.sum() + between)
