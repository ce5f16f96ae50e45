"""Image fidelity relative to each pattern's own range, or to one that is given: PSNR and SSIM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_metrics.pattern import PatternMetric, Pixels
from stemcore import UserError

Range = Annotated[float, Field(gt=0)] | Literal["target"]


class RangedMetric(PatternMetric):
    """A score relative to a range of values.

    Args:
        data_range: the range, or ``target``: maximum less minimum of the target pattern itself.
    """

    direction = "max"

    def __init__(self, *, data_range: Range = "target") -> None:
        super().__init__()
        self.data_range = data_range
        self.partial = data_range == "target"  # type: ignore[misc]  # no pattern lacks a range that is given

    def reach(self, batch: Pixels) -> Tensor:
        """The range of each pattern (n,), 0 where its target is constant and no range is given."""
        if self.data_range == "target":
            return batch.target_range()
        return batch.target.new_full((len(batch.target),), self.data_range)


class PeakSignalToNoise(RangedMetric):
    """Peak signal-to-noise ratio in dB, ``10 log10(range**2 / mse)``, mean over patterns. With a range of their own,
    patterns whose target is constant are left out; with a given one, ``pooled`` is the ratio to the mean squared error
    over all patterns, which those that are hard decide.

    Args:
        data_range: the range of values in physical units, such as 2 for images in [-1, 1], or ``target``: maximum less
            minimum of the target pattern itself.
        cap: the most that one pattern can score, in dB, so that a perfect one does not make the mean infinite.
    """

    error: Tensor
    seen: Tensor

    def __init__(self, *, data_range: Range = "target", cap: Annotated[float, Field(gt=0)] = 100.0) -> None:
        super().__init__(data_range=data_range)
        self.cap = cap
        if data_range != "target":
            self.add_sums("error", "seen")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """The mean and the standard deviation ``std`` over patterns, and ``pooled`` with a given range."""
        return {**super().reports(), **({} if self.data_range == "target" else {"pooled": "max"})}

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The ratio of each pattern (n,), defined where its target is not constant or the range is given."""
        reach = self.reach(batch)
        error = batch.mean((batch.prediction - batch.target).square())
        ratio = 20 * reach.where(reach > 0, 1).log10() - 10 * error.log10()
        if self.data_range != "target":
            valid = batch.valid.any(1)
            self.error += error[valid].sum().to(self.error.dtype)
            self.seen += valid.sum()
        return ratio.clamp(max=self.cap), reach > 0

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        found = super().compute()
        if self.data_range == "target":
            return found
        pooled = 10 * (self.data_range**2 / (self.error / self.seen)).log10()
        return {**found, "pooled": pooled.clamp(max=self.cap)}


class StructuralSimilarity(RangedMetric):
    """Structural similarity (Wang et al. 2004, K1 = 0.01, K2 = 0.03), mean over pixels and channels. Local statistics
    are taken under a Gaussian window of radius 3.5 sigma (11 x 11 pixels at the usual 1.5), patterns being reflected at
    their edges. With a mask, the windows' weights are shared among the valid pixels, and the mean is over windows
    centred on valid ones. With a range of their own, patterns whose target is constant are left out.

    Args:
        data_range: the range of values in physical units, such as 2 for images in [-1, 1], or ``target``: maximum less
            minimum of the target pattern itself.
        sigma: standard deviation of the window in pixels.
    """

    def __init__(self, *, data_range: Range = "target", sigma: Annotated[float, Field(gt=0)] = 1.5) -> None:
        super().__init__(data_range=data_range)
        self.sigma = sigma

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, c, h, w).

        Raises:
            UserError: if it does not hold images.
        """
        if target.ndim < 3:
            raise UserError(f"ssim needs images, not {tuple(target.shape)}")
        self._height, self._width = target.shape[-2:]
        super().update(prediction, target, mask)

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The similarity of each pattern (n,), defined where its target is not constant or the range is given."""
        reach = self.reach(batch)
        scale = reach.where(reach > 0, 1)[:, None]
        found, true = (self._images(x / scale) for x in (batch.prediction, batch.target))
        share = self._blur(self._images(batch.valid.to(true.dtype)))
        share = share.where(share > 0, 1)
        mean_found, mean_true, found_square, true_square, product = (
            self._blur(x) / share for x in (found, true, found * found, true * true, found * true)
        )
        variances = (found_square - mean_found.square()).clamp(min=0) + (true_square - mean_true.square()).clamp(min=0)
        covariance = product - mean_found * mean_true
        luminance = (2 * mean_found * mean_true + 1e-4) / (mean_found.square() + mean_true.square() + 1e-4)
        similarity = luminance * (2 * covariance + 9e-4) / (variances + 9e-4)
        return batch.mean(similarity.reshape(batch.valid.shape).where(batch.valid, 0)), reach > 0

    def _images(self, rows: Tensor) -> Tensor:
        size = self._height * self._width
        return rows.reshape(len(rows), rows.shape[1] // size, self._height, self._width)

    def _blur(self, images: Tensor) -> Tensor:
        down = window_matrix(self._height, self.sigma).to(images)
        across = window_matrix(self._width, self.sigma).to(images)
        return down @ images @ across.T


def window_matrix(size: int, sigma: float) -> Tensor:
    """A Gaussian window along an axis as a matrix (size, size): row i holds the weights of pixel i's neighbours,
    those beyond the edge reflected. On a CPU, multiplying by it is 20 times faster than convolving in float64.
    """
    radius = int(3.5 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * sigma**2))
    places = torch.arange(size)[:, None] + offsets
    period = max(1, 2 * (size - 1))
    places = places % period
    places = torch.minimum(places, period - places) if size > 1 else torch.zeros_like(places)
    rows = (weights / weights.sum()).expand(size, -1)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, places, rows)
