"""Squared errors: plain, of the centre, weighted by intensity, and to a simulation's truth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from stem_metrics.pattern import PatternMetric, PatternSums, Pixels, everywhere, pixels, valid_pixels
from stemcore import UserError


class MeanSquaredError(PatternMetric):
    """Mean squared error over the pixels of a pattern, in squared physical units."""

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The error of each pattern (n,)."""
        return everywhere(batch.mean((batch.prediction - batch.target).square()))


class CenterError(MeanSquaredError):
    """Mean squared error of the detector's central square, where the direct beam falls, in squared physical units.

    Args:
        size: side of the square in pixels; along an axis that is shorter, the whole axis counts.
    """

    def __init__(self, *, size: Annotated[int, Field(ge=1)] = 32) -> None:
        super().__init__()
        self.size = size

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, c, h, w).

        Raises:
            UserError: if it does not hold images.
        """
        if target.ndim < 3:
            raise UserError(f"center_mse needs images, not {tuple(target.shape)}")
        valid = valid_pixels(mask, target)
        super().update(self._center(prediction), self._center(target), self._center(valid))

    def _center(self, x: Tensor) -> Tensor:
        top, left = ((n - min(self.size, n)) // 2 for n in x.shape[-2:])
        return x[..., top : top + self.size, left : left + self.size]


class WeightedError(PatternMetric):
    """Squared error weighted by intensity, ``mean(I / mean(I) * (I - J)**2)`` of target I and prediction J, so that
    discs count and the dark detector does not. Negative intensities get weight 0; patterns without intensity are
    left out.
    """

    partial = True

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The error of each pattern (n,), defined where it has intensity."""
        weights = batch.target.clamp(min=0)
        mean = batch.mean(weights)
        error = batch.mean(weights * (batch.prediction - batch.target).square())
        return error / mean.where(mean > 0, 1), mean > 0


class ExpectedError(PatternSums):
    """Error to the noise-free truth of a simulation, mean over pixels. Patterns whose truth is not known (a NaN in
    ``expected``) are left out.

    Args:
        space: ``sqrt`` compares square roots, ``(sqrt(max(prediction, 0)) - sqrt(expected))**2``, in which Poisson
            noise is equally strong at every intensity; ``linear`` compares the intensities.
    """

    partial = True

    def __init__(self, *, space: Literal["sqrt", "linear"] = "sqrt") -> None:
        super().__init__()
        self.space = space

    def update(self, prediction: Tensor, expected: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch: prediction and truth (n, c, h, w) or (n, d) in the same unit."""
        self.add(pixels(prediction, expected, mask))

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The error of each pattern (n,), defined where its truth is known."""
        known = ~batch.target.isnan().any(1)
        found, truth = batch.prediction, batch.target.nan_to_num()
        if self.space == "sqrt":
            found, truth = found.clamp(min=0).sqrt(), truth.clamp(min=0).sqrt()
        return batch.mean((found - truth).square()), known
