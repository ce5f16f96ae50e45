"""Statistics of every feature (value along a table's last axis, pixel of a pattern) over a data set, in one pass."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from stem_metrics.pattern import Pixels
from stemcore import SummedMetric, wide

FEWEST = 3
CONSTANT = 1e-12
"""Variance, relative to the mean square, up to which a feature counts as constant: rounding leaves that much."""


class Moments(NamedTuple):
    """Of each feature, (features,): the number of values that count, the sum of squared errors, the mean of the true
    values and the sum of squares of what deviates from it; for correlations, mean and squares of the predicted values
    too, and the sum of the products of both deviations."""

    count: Tensor
    residual: Tensor
    true_mean: Tensor
    true_squares: Tensor
    found_mean: Tensor | None = None
    found_squares: Tensor | None = None
    products: Tensor | None = None

    def defined(self) -> Tensor:
        """The features with three values or more whose truth is not constant; also those that hold a NaN, so that it
        shows in the score."""
        return (self.count >= FEWEST) & ~constant(self.true_squares, self.true_mean, self.count)


def constant(squares: Tensor, mean: Tensor, count: Tensor) -> Tensor:
    """Whether deviations from a mean, squared and added up over ``count`` values, are no more than rounding."""
    return squares <= CONSTANT * (squares + count * mean.square())


def moments(batch: Pixels, correlated: bool) -> Tensor:
    """Moments of a batch as rows (4, features), or (7, features) where they are ``correlated``."""
    count = wide(batch.valid).sum(0)
    residual = (batch.prediction - batch.target).square_().sum(0)
    mean, true = centred(batch.target, batch.valid, count)
    if not correlated:
        return torch.stack([count, residual, mean, true.square_().sum(0)])
    found_mean, found = centred(batch.prediction, batch.valid, count)
    products = (true * found).sum(0)
    return torch.stack([count, residual, mean, true.square_().sum(0), found_mean, found.square_().sum(0), products])


def centred(x: Tensor, valid: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each column of (n, features), and what deviates from it, 0 where not valid."""
    mean = x.sum(0) / count.clamp(min=1)
    return mean, (x - mean).masked_fill_(~valid, 0)


def merged(parts: Tensor) -> Tensor:
    """The moments (rows, features) of several batches, (batches, rows, features), taken together: Chan, Golub and
    LeVeque, Am. Stat. 37, 242 (1983), so that means far from zero cost no digits."""
    count, residual, mean, squares, *others = parts.unbind(1)
    total = count.sum(0)
    pooled, apart = _pooled(mean, count, total)
    rows = [total, residual.sum(0), pooled, (squares + count * apart.square()).sum(0)]
    if others:
        found_mean, found_squares, products = others
        found_pooled, found_apart = _pooled(found_mean, count, total)
        rows += [found_pooled, (found_squares + count * found_apart.square()).sum(0)]
        rows += [(products + count * apart * found_apart).sum(0)]
    return torch.stack(rows)


def _pooled(mean: Tensor, count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    pooled = (count * mean).sum(0) / total.clamp(min=1)
    return pooled, mean - pooled


class FeatureMoments(SummedMetric):
    """A metric of the moments of every feature."""

    correlated: ClassVar[bool] = False
    """Whether it needs the moments of the predictions too."""

    size: Tensor
    parts: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        # How many features there are is known at the first update only, and a process may see no item at all; a list
        # that is concatenated takes both. torchmetrics fills a missing one up with float32, so that is how rows travel.
        self.add_state("size", torch.zeros((), dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("parts", [], dist_reduce_fx="cat")

    def add(self, batch: Pixels) -> None:
        """Takes in a batch."""
        rows = moments(batch, self.correlated)
        if self.parts:
            rows = merged(torch.cat([self._parts(), rows[None]]))
        self.size = torch.full_like(self.size, rows.shape[1])
        self.parts = [torch.stack(in_two(rows)).flatten()]

    def moments(self) -> Moments:
        """The moments of all that was seen; without any, of no feature."""
        return Moments(*merged(self._parts()))

    def _parts(self) -> Tensor:
        flat = (
            self.parts if isinstance(self.parts, Tensor) else torch.cat([*self.parts, self.size.new_zeros(0).float()])
        )
        rows, size = 7 if self.correlated else 4, int(self.size)
        return from_two(flat.reshape(-1, 2, rows, size) if size else flat.new_zeros(0, 2, rows, 0))


def in_two(x: Tensor) -> tuple[Tensor, Tensor]:
    """Float64 values as two of float32 that add up to them."""
    upper = x.float()
    return upper, (x - upper).float()


def from_two(halves: Tensor) -> Tensor:
    """What ``in_two`` took apart, of (n, 2, ...)."""
    return wide(halves[:, 0]) + wide(halves[:, 1])


def median(x: Tensor) -> Tensor:
    """The median of (n,), halfway between the middle two of an even number; NaN of nothing and beside a NaN."""
    ordered, n = x.sort().values, len(x)
    if n == 0:
        return x.new_full((), torch.nan)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return torch.where(x.isnan().any(), torch.nan, middle)
