"""Errors of cubes over a whole data set: mean square and peak signal-to-noise ratio, together and by band."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_spectral.counted import Where, counted, without_rest
from stem_spectral.sums import BandSums
from stemcore import wide

Bands = list[Annotated[int, Field(ge=0)]]


class CubeSquaredError(BandSums):
    """Mean squared error over all values of a data set that count, in squared physical units; ``band_median`` and
    ``band_worst`` are those of single bands.

    Args:
        where: ``hidden`` scores what the model was not shown, where it says what that is; ``all`` every value.
        bands: bands (from 0) whose errors are reported too, as ``band_7``.
    """

    direction = "min"

    def __init__(self, *, where: Where = "hidden", bands: Bands | None = None) -> None:
        super().__init__(bands=bands)
        self.where = where

    def update(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> None:
        """Takes in cubes (n, bands, height, width); ``mask`` is true where a value is good.

        Raises:
            UserError: if the shapes do not fit, or a band that is named is not there.
        """
        valid = counted(prediction, target, mask, hidden if self.where == "hidden" else None)
        found, true = without_rest(valid, wide(prediction), wide(target))
        self.add((found - true).square_().sum((0, 2, 3)), valid.sum((0, 2, 3)))


class CubePeakSignalToNoise(CubeSquaredError):
    """Peak signal-to-noise ratio in dB, 10 log10(range^2 / mse), with the mean squared error over all values of a data
    set that count: one ratio of all pixels and bands, no mean of ratios. ``band_median`` and ``band_worst`` are those
    of single bands, with the same range.

    Args:
        data_range: the range of values in physical units, 1 for reflectance, or ``target``: from the smallest to the
            largest true value that counts.
        where: ``hidden`` scores what the model was not shown, where it says what that is; ``all`` every value.
        bands: bands (from 0) whose ratios are reported too, as ``band_7``.
        cap: the most that is reported, in dB, so that a perfect prediction has a finite ratio.
    """

    direction = "max"
    low: Tensor
    high: Tensor

    def __init__(
        self,
        *,
        data_range: Annotated[float, Field(gt=0)] | Literal["target"] = 1.0,
        where: Where = "hidden",
        bands: Bands | None = None,
        cap: Annotated[float, Field(gt=0)] = 100.0,
    ) -> None:
        super().__init__(where=where, bands=bands)
        self.data_range, self.cap = data_range, cap
        self.add_state("low", torch.tensor(torch.inf, dtype=torch.float64), dist_reduce_fx="min")
        self.add_state("high", torch.tensor(-torch.inf, dtype=torch.float64), dist_reduce_fx="max")

    def update(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> None:
        """Takes in cubes (n, bands, height, width); ``mask`` is true where a value is good.

        Raises:
            UserError: if the shapes do not fit, or a band that is named is not there.
        """
        super().update(prediction, target, hidden, mask)
        if self.data_range == "target" and target.numel():
            valid = counted(prediction, target, mask, hidden if self.where == "hidden" else None)
            self.low = torch.minimum(self.low, target.masked_fill(~valid, torch.inf).amin().to(self.low))
            self.high = torch.maximum(self.high, target.masked_fill(~valid, -torch.inf).amax().to(self.high))

    def score(self, total: Tensor, count: Tensor) -> Tensor:
        """The ratio of summed squares; NaN where nothing counts, or true values have no range."""
        extent = self.high - self.low if self.data_range == "target" else total.new_tensor(self.data_range)
        ratio = 20 * extent.where(extent > 0, torch.nan).log10() - 10 * super().score(total, count).log10()
        return ratio.clamp(max=self.cap)
