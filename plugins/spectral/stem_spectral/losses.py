"""Losses of cubes: the error of what was hidden, collapsed bands, values out of range, sums over bands."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stem_spectral.counted import Where, counted, mean_of, without_rest
from stemcore import Loss, UserError


class MaskedSquaredError(Loss):
    """Mean squared error of the values that the model was not shown: what it was shown it need not learn to copy. He et
    al., Masked autoencoders are scalable vision learners, CVPR 2022. Zero, with a gradient of zero, where nothing was
    hidden.
    """

    def forward(self, prediction: Tensor, target: Tensor, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar, of cubes (n, bands, height, width) over what is ``hidden`` and good by ``mask``.

        Raises:
            UserError: if the shapes do not fit.
        """
        valid = counted(prediction, target, mask, hidden)
        found, true = without_rest(valid, prediction, target)
        return mean_of((found - true).square(), valid)


class SpectralVariance(Loss):
    """Spatial contrast that a reconstruction lacks: the mean over items and bands of max(0, s(target) - s(prediction)),
    where s is the standard deviation over the pixels of a band that count. Zero as soon as a prediction varies as
    much as its target, so it keeps bands from collapsing to their mean and rewards no more than that.
    """

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar, of cubes (n, bands, height, width) where ``mask`` is true.

        Raises:
            UserError: if the shapes do not fit.
        """
        valid = counted(prediction, target, mask)
        found, true = without_rest(valid, prediction, target)
        lacking = functional.relu(deviation(true, valid) - deviation(found, valid))
        return mean_of(lacking, valid.any(dim=(2, 3)))


def deviation(cube: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation (n, bands) over the pixels of each band that count (divided by their number); 0, with a
    gradient of 0, where they are all equal."""
    count = valid.sum((2, 3), keepdim=True).clamp(min=1)
    apart = torch.where(valid, cube - cube.sum((2, 3), keepdim=True) / count, 0.0)
    variance = (apart.square().sum((2, 3), keepdim=True) / count)[..., 0, 0]
    varies = variance > 0
    return torch.where(varies, torch.where(varies, variance, 1.0).sqrt(), 0.0)


class RangePenalty(Loss):
    """How far predictions leave the range of valid values: the mean of max(0, low - y) + max(0, y - high), in the
    model's space. The bounds are those of the space that data are scaled to, [0, 1] after ``minmax``.

    Args:
        low: the smallest valid value.
        high: the largest valid value.
    """

    def __init__(self, *, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        if not low < high:
            raise UserError(f"range_penalty has no range from low {low} to high {high}", hint="low is less than high")
        self.low, self.high = low, high

    def forward(self, prediction: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar, of cubes (n, bands, height, width) where ``mask`` is true.

        Raises:
            UserError: if the shapes do not fit.
        """
        valid = counted(prediction, prediction, mask)
        (found,) = without_rest(valid, prediction)
        return mean_of(functional.relu(self.low - found) + functional.relu(found - self.high), valid)


class BandSum(Loss):
    """Mean squared error of sums over the spectrum, so that what neighbouring groups of bands get wrong together costs
    more than what cancels out: the spectral-to-spectral term beside the token-to-token one (``mse_masked``) in the
    multi-target reconstruction of SpectralGPT, Hong et al., IEEE Trans. Pattern Anal. Mach. Intell. 46, 5227 (2024).
    In each pixel the groups of bands that make a token are added up, band by band, and the sums compared.

    Args:
        bands_per_group: bands of a token, those of the model's patches; the last group may be shorter. 1 adds up the
            whole spectrum of each pixel.
        where: ``hidden`` adds up only what the model was not shown.
    """

    def __init__(self, *, bands_per_group: Annotated[int, Field(ge=1)] = 5, where: Where = "all") -> None:
        super().__init__()
        self.bands_per_group, self.where = bands_per_group, where

    def forward(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The loss, a scalar, of cubes (n, bands, height, width); values that are bad by ``mask`` have no part in a
        sum, sums of nothing none in the mean.

        Raises:
            UserError: if the shapes do not fit.
        """
        valid = counted(prediction, target, mask, hidden if self.where == "hidden" else None)
        found, true = without_rest(valid, prediction, target)
        return mean_of(self._groups(found - true).sum(1).square(), self._groups(valid).any(1))

    def _groups(self, cube: Tensor) -> Tensor:
        """The cube as (n, groups, bands of a group, height, width), filled up with zeros."""
        missing = -cube.shape[1] % self.bands_per_group
        return functional.pad(cube, (0, 0, 0, 0, 0, missing)).unflatten(1, (-1, self.bands_per_group))
