"""Structural dissimilarity."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stem_losses.masked import mean_over, paired
from stemcore import Loss, UserError

SIGMA = 1.5
RADIUS = 5
K1, K2 = 0.01, 0.03


class StructuralSimilarity(Loss):
    """Structural dissimilarity, 1 - SSIM, of images: 0 where they are equal, at most 2.

    Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Process. 13, 600 (2004): Gaussian window of 11 x 11 pixels
    with sigma 1.5, K1 = 0.01, K2 = 0.03, images reflected at their edges, mean over the pixels that count and over
    channels. Pixels that are masked out have no weight in any window.

    Args:
        data_range: the range L of valid values, which start at zero, or ``pattern``: each target pattern, with its
            prediction, is first mapped by its own minimum and range to [0, 1], which makes the loss independent of
            intensity and of an offset such as that of ``standardize``. A pattern without any range has one of 1.
    """

    def __init__(self, *, data_range: Annotated[float, Field(gt=0)] | Literal["pattern"] = "pattern") -> None:
        super().__init__()
        self.data_range = data_range

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar, of ``prediction`` and ``target`` (n, c, h, w) where ``mask`` is true.

        Raises:
            UserError: if the shapes do not fit, or are not of images of at least 6 x 6 pixels.
        """
        if target.ndim != 4 or min(target.shape[-2:]) <= RADIUS:
            raise UserError(
                f"ssim compares images (n, c, h, w) of at least {RADIUS + 1} x {RADIUS + 1} pixels,"
                f" not {tuple(target.shape)}"
            )
        prediction, target, valid = paired(prediction, target, mask)
        lowest, extent = self._range(target, valid)
        similarity = similarity_map((prediction - lowest) / extent, (target - lowest) / extent, valid)
        return mean_over(1 - similarity, valid)

    def _range(self, target: Tensor, valid: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """Minimum and range of each target pattern, (n, 1, 1, 1), over its valid pixels."""
        if self.data_range != "pattern":
            return 0.0, self.data_range
        low, high = target, target
        if valid is not None:
            low, high = target.masked_fill(~valid, math.inf), target.masked_fill(~valid, -math.inf)
        lowest, highest = low.amin((1, 2, 3), keepdim=True), high.amax((1, 2, 3), keepdim=True)
        some, extent = lowest != math.inf, highest - lowest
        return torch.where(some, lowest, 0.0), torch.where(extent > 0, extent, 1.0)


def similarity_map(x: Tensor, y: Tensor, valid: Tensor | None = None) -> Tensor:
    """SSIM around each pixel of images (n, c, h, w) whose range is 1; without meaning where ``valid`` is false."""
    moments = torch.stack((x, y, x * x, y * y, x * y))
    if valid is None:
        mean_x, mean_y, xx, yy, xy = windowed(moments)
    else:
        weight = windowed(valid.to(x)).clamp(min=torch.finfo(x.dtype).eps)
        mean_x, mean_y, xx, yy, xy = windowed(moments * valid) / weight
    luminance: Tensor = (2 * mean_x * mean_y + K1**2) / (mean_x.square() + mean_y.square() + K1**2)
    variances = (xx - mean_x.square()) + (yy - mean_y.square())
    structure: Tensor = (2 * (xy - mean_x * mean_y) + K2**2) / (variances + K2**2)
    return luminance * structure


def windowed(images: Tensor) -> Tensor:
    """Gaussian-weighted means around each pixel of images (..., h, w)."""
    offset = torch.arange(-RADIUS, RADIUS + 1, dtype=images.dtype, device=images.device)
    window = torch.softmax(-offset.square() / (2 * SIGMA**2), 0)
    padded = functional.pad(images.reshape(-1, 1, *images.shape[-2:]), (RADIUS,) * 4, mode="reflect")
    rows = functional.conv2d(padded, window.view(1, 1, -1, 1))
    return functional.conv2d(rows, window.view(1, 1, 1, -1)).view(images.shape)
