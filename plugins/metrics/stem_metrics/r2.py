"""The coefficient of determination against the mean pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from stem_metrics.pattern import Accumulated, pixels, wide


class CoefficientOfDetermination(Accumulated):
    """R2 of a whole data set against its mean pattern, ``1 - sum((t - p)**2) / sum((t - mean pattern)**2)``: 1 is
    perfect, 0 as good as showing the mean pattern every time, negative is worse. The mean of each pixel is over the
    patterns where it is valid. NaN where all targets are equal.

    Both sums are pooled over all patterns in one pass: besides two scalars, the sum of each pixel is kept.
    """

    residual: Tensor
    squares: Tensor
    size: Tensor
    sums: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_sums("residual", "squares")
        # The pattern's size is known at the first update only, and a process may see no pattern at all; a list that
        # is concatenated takes both. torchmetrics fills a missing one up with float32, so that is how sums travel.
        self.add_state("size", torch.zeros((), dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("sums", [], dist_reduce_fx="cat")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """R2 itself: it is pooled, so it has no spread over patterns."""
        return {"": "max"}

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch: prediction and target (n, c, h, w) or (n, d), ``mask`` true where a pixel counts."""
        batch = pixels(prediction, target, mask)
        total, seen = batch.target.sum(0), wide(batch.valid).sum(0)
        if self.sums:
            before, seen_before = self._sums()
            total, seen = total + before, seen + seen_before
        self.size = torch.full_like(self.size, total.numel())
        self.sums = [torch.cat([*_in_two(total), *_in_two(seen)])]
        self.residual += (batch.prediction - batch.target).square().sum()
        self.squares += batch.target.square().sum()

    def compute(self) -> Tensor:
        """R2, a scalar."""
        total, seen = self._sums()
        spread = self.squares - (total.square() / seen.clamp(min=1)).sum()
        # Equal targets leave a rounding error of the sums.
        return torch.where(spread > 1e-12 * self.squares, 1 - self.residual / spread, torch.nan)

    def _sums(self) -> tuple[Tensor, Tensor]:
        parts = self.sums if isinstance(self.sums, Tensor) else torch.cat([*self.sums, self.residual.new_zeros(0)])
        rows = wide(parts).reshape(-1, 4, max(1, int(self.size))).sum(0)
        return rows[0] + rows[1], rows[2] + rows[3]


def _in_two(x: Tensor) -> tuple[Tensor, Tensor]:
    """Float64 values as two of float32 that add up to them."""
    upper = x.float()
    return upper, (x - upper).float()
