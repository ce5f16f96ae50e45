"""Data terms that compare pixel with pixel."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stem_losses.masked import mean_over, paired
from stemcore import Loss


class PixelwiseLoss(Loss):
    """The mean over the pixels that count of an error that each pixel has by itself."""

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar, of ``prediction`` and ``target`` (n, ...) where ``mask``, if there is one, is true.

        Raises:
            UserError: if the shapes do not fit.
        """
        prediction, target, valid = paired(prediction, target, mask)
        return mean_over(self.error(prediction, target), valid)

    @abstractmethod
    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The error of each pixel, in the shape of the two."""


class MeanSquaredError(PixelwiseLoss):
    """Mean squared error, mean of (y - x)^2 over the pixels that count."""

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """As every pixelwise loss; where all pixels count, in one kernel that keeps no differences for its gradient."""
        prediction, target, valid = paired(prediction, target, mask)
        if valid is None:
            return functional.mse_loss(prediction, target)
        return mean_over(self.error(prediction, target), valid)

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(y - x)^2."""
        return (prediction - target).square()


class MeanAbsoluteError(PixelwiseLoss):
    """Mean absolute error, mean of |y - x| over the pixels that count: less moved by single bright pixels."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """|y - x|."""
        return (prediction - target).abs()


class Huber(PixelwiseLoss):
    """Huber loss: quadratic, e^2 / 2, for errors up to ``delta`` and linear, delta (|e| - delta / 2), beyond.

    Huber, Annals of Mathematical Statistics 35, 73 (1964). Mean over the pixels that count.

    Args:
        delta: where it changes from quadratic to linear, in the units of the data (standard deviations of the whole
            data set after ``standardize``).
    """

    def __init__(self, *, delta: Annotated[float, Field(gt=0)] = 1.0) -> None:
        super().__init__()
        self.delta = delta

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The Huber function of y - x."""
        return functional.huber_loss(prediction, target, reduction="none", delta=self.delta)


class ScaleAligned(MeanSquaredError):
    """Mean squared error in log space: both sides are taken back through ``standardize`` to log(counts + 1).

    It is sigma^2 times the standardized error, so its size does not depend on how the data were scaled and can be
    compared between data sets. The chain of transforms must contain ``log1p``.
    """

    inputs: ClassVar[dict[str, str]] = {"prediction": "prediction@log1p", "target": "target@log1p"}
