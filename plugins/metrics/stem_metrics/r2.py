"""The coefficient of determination against the mean pattern, or the mean of each feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from stem_metrics.features import CONSTANT, FeatureMoments, median
from stem_metrics.pattern import pixels


class CoefficientOfDetermination(FeatureMoments):
    """R2 of a whole data set against its mean pattern, ``1 - sum((t - p)**2) / sum((t - mean pattern)**2)``: 1 is
    perfect, 0 as good as showing the mean pattern every time, negative is worse. The mean of each pixel is over the
    patterns where it is valid. NaN where all targets are equal.

    Args:
        by: ``all`` adds both sums up over all pixels, so that those that vary most count most; ``feature`` has an R2 of
            each pixel, or feature of a table, by itself, and reports the mean and the median over them. Features with
            fewer than three values that count, or whose true values are all equal, are left out, and counted.
    """

    def __init__(self, *, by: Literal["all", "feature"] = "all") -> None:
        super().__init__()
        self.by = by

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """R2 itself, which is pooled and has no spread over patterns; by feature, as ``pearson`` reports it."""
        if self.by == "all":
            return {"": "max"}
        return {"feature_mean": "max", "feature_median": "max", "feature_left_out": None}

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch: prediction and target (n, c, h, w) or (n, d), ``mask`` true where a pixel counts."""
        self.add(pixels(prediction, target, mask))

    def compute(self) -> Tensor | dict[str, Tensor]:
        """The values that ``reports`` declares."""
        seen = self.moments()
        if self.by == "feature":
            defined = seen.defined()
            scores = (1 - seen.residual / seen.true_squares.where(seen.true_squares != 0, 1))[defined]
            left_out = (~defined).sum()
            return {"feature_mean": scores.mean(), "feature_median": median(scores), "feature_left_out": left_out}
        spread, of_means = seen.true_squares.sum(), (seen.count * seen.true_mean.square()).sum()
        # Equal targets leave a rounding error of the sums.
        equal = spread <= CONSTANT * (spread + of_means)
        return (1 - seen.residual.sum() / spread).masked_fill(equal, torch.nan)
