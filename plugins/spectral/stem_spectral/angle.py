"""The angle between spectra, which brightness does not change: as a loss, and as a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from stem_spectral.counted import Where, counted, mean_of, without_rest
from stemcore import Loss, SummedMetric, wide

NEAREST = 1e-7
"""How near the cosine comes to 1 in the loss: at 1 itself the arc cosine has an infinite slope."""


class SpectralAngle(Loss):
    """Spectral angle in radians, the mean over pixels of arccos(<x, y> / (|x| |y|)) of their spectra x and y: it
    compares the shapes of spectra, whatever their brightness. Kruse et al., Remote Sens. Environ. 44, 145 (1993). The
    cosine is kept within 1 - 1e-7 of 0. A pixel in which one of the two spectra is zero everywhere has no angle: it
    adds 0 to the sum, with a gradient of 0.

    Args:
        where: ``hidden`` takes the angle between those parts of two spectra that the model was not shown, and leaves
            out pixels that it was shown as a whole; without ``hidden`` every value counts.
    """

    def __init__(self, *, where: Where = "all") -> None:
        super().__init__()
        self.where = where

    def forward(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The loss, a scalar, of cubes (n, bands, height, width); bands that are bad by ``mask`` have no part in a
        pixel's angle, pixels without a good one none in the mean.

        Raises:
            UserError: if the shapes do not fit.
        """
        valid = counted(prediction, target, mask, hidden if self.where == "hidden" else None)
        found, true = without_rest(valid, prediction, target)
        cosine, some = cosines(found, true)
        angle = torch.where(some, cosine.clamp(-1 + NEAREST, 1 - NEAREST), 0.0).arccos()
        return mean_of(torch.where(some, angle, 0.0), valid.any(1))


def cosines(found: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """The cosine (n, height, width) of the angle between the spectra of cubes (n, bands, height, width), 0 where one of
    them is zero everywhere; and where none is."""
    squares = found.square().sum(1), true.square().sum(1)
    some = (squares[0] != 0) & (squares[1] != 0)
    norm = torch.where(some, squares[0], 1.0).sqrt() * torch.where(some, squares[1], 1.0).sqrt()
    return torch.where(some, (found * true).sum(1) / norm, 0.0), some


class SpectralAngleMapper(SummedMetric):
    """Spectral angle in degrees between prediction and target, the mean over the pixels of the whole data set and their
    standard deviation. Kruse et al., Remote Sens. Environ. 44, 145 (1993). Pixels whose true spectrum is zero
    everywhere have no angle; their number is reported as ``left_out``. A prediction of zero is as far as can be said of
    it, 90 degrees.

    Args:
        where: ``hidden`` takes the angle between those parts of two spectra that the model was not shown, where the
            model says which these are; ``all`` between whole spectra.
    """

    count: Tensor
    total: Tensor
    squares: Tensor
    left_out: Tensor

    def __init__(self, *, where: Where = "hidden") -> None:
        super().__init__()
        self.where = where
        self.add_sums("count", "total", "squares", "left_out")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """The mean, the standard deviation ``std`` over pixels, and how many are ``left_out``."""
        return {"": "min", "std": None, "left_out": None}

    def update(
        self, prediction: Tensor, target: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> None:
        """Takes in cubes (n, bands, height, width); ``mask`` is true where a value is good."""
        valid = counted(prediction, target, mask, hidden if self.where == "hidden" else None)
        found, true = without_rest(valid, wide(prediction), wide(target))
        cosine, _ = cosines(found, true)
        angle = torch.rad2deg(cosine.clamp(-1, 1).arccos())
        pixel = valid.any(1)
        defined = pixel & (true != 0).any(1)
        kept = torch.where(defined, angle, 0.0)
        self.count += defined.sum()
        self.total += kept.sum()
        self.squares += kept.square().sum()
        self.left_out += (pixel & ~defined).sum()

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares; NaN of no pixel."""
        mean = self.total / self.count
        std = (self.squares / self.count - mean.square()).clamp(min=0).sqrt()
        return {"": mean, "std": std, "left_out": self.left_out}
