"""Structural similarity of cubes, band by band."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_spectral.counted import Where, counted, without_rest
from stem_spectral.cube_error import Bands
from stem_spectral.sums import BandSums
from stemcore import wide


class CubeSimilarity(BandSums):
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Process. 13, 600 (2004), K1 = 0.01,
    K2 = 0.03) of each band as an image: the mean over the windows of all bands and items whose centre counts.
    ``band_median`` and ``band_worst`` are those of single bands. Windows are Gaussian, of radius 3.5 sigma, images
    reflected at their edges. Bad values have no weight in any window; of what the model was shown, windows hold the
    true values, not what its decoder makes of them.

    Args:
        data_range: the range of values in physical units, 1 for reflectance, or ``target``: that of the true values of
            each cube that count.
        where: ``hidden`` scores windows around what the model was not shown, where it says what that is; ``all`` every
            window, of the prediction as it is.
        bands: bands (from 0) whose similarities are reported too, as ``band_7``.
        sigma: standard deviation of the window in pixels.
    """

    direction = "max"

    def __init__(
        self,
        *,
        data_range: Annotated[float, Field(gt=0)] | Literal["target"] = 1.0,
        where: Where = "hidden",
        bands: Bands | None = None,
        sigma: Annotated[float, Field(gt=0)] = 1.5,
    ) -> None:
        super().__init__(bands=bands)
        self.data_range, self.where, self.sigma = data_range, where, sigma

    def update(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> None:
        """Takes in cubes (n, bands, height, width); ``mask`` is true where a value is good.

        Raises:
            UserError: if the shapes do not fit, or a band that is named is not there.
        """
        good = counted(prediction, target, mask)
        valid = counted(prediction, target, mask, hidden) if self.where == "hidden" else good
        totals = target.new_zeros(target.shape[1], dtype=wide(target).dtype)
        # One cube after the other: maps of moments in float64 take ten times its memory.
        for found, true, usable, scored in zip(prediction, target, good, valid, strict=True):
            found, true = without_rest(usable, wide(found), wide(true))
            found = torch.where(scored, found, true)
            extent = self._extent(true, scored)
            similarity = similarity_map(found / extent, true / extent, usable, self.sigma)
            totals += torch.where(scored, similarity, 0.0).sum((1, 2))
        self.add(totals, valid.sum((0, 2, 3)))

    def _extent(self, true: Tensor, scored: Tensor) -> Tensor:
        if self.data_range != "target":
            return true.new_tensor(self.data_range)
        extent = true.masked_fill(~scored, -torch.inf).amax() - true.masked_fill(~scored, torch.inf).amin()
        return extent.where(extent > 0, 1.0)


def similarity_map(found: Tensor, true: Tensor, valid: Tensor, sigma: float) -> Tensor:
    """The similarity around each pixel of images (bands, height, width) whose range is 1 and that are 0 where not
    ``valid``; without meaning there."""
    down, across = (window_weights(size, sigma).to(true) for size in true.shape[-2:])

    def blurred(images: Tensor) -> Tensor:
        return down @ images @ across.T

    share = blurred(valid.to(true))
    share = share.where(share > 0, 1.0)
    mean_found, mean_true = blurred(found) / share, blurred(true) / share
    spread = blurred(found * found + true * true) / share - mean_found.square() - mean_true.square()
    covariance = blurred(found * true) / share - mean_found * mean_true
    luminance = (2 * mean_found * mean_true + 0.01**2) / (mean_found.square() + mean_true.square() + 0.01**2)
    similarity: Tensor = luminance * (2 * covariance + 0.03**2) / (spread.clamp(min=0) + 0.03**2)
    return similarity


def window_weights(size: int, sigma: float) -> Tensor:
    """A Gaussian window along an axis as a matrix (size, size): row i holds what each pixel weighs in the window around
    pixel i. Multiplied by on both sides, images are blurred faster than by a convolution in float64."""
    radius = int(3.5 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.softmax(-offsets.square() / (2 * sigma**2), 0)
    period = max(1, 2 * (size - 1))
    places = (torch.arange(size)[:, None] + offsets.long()) % period
    places = torch.minimum(places, period - places) % size  # Of a single pixel all are the one.
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, places, weights.expand(size, -1))
