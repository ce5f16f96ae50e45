"""The loss."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss, UserError


class TotalVariation(Loss):
    """Anisotropic total variation of the prediction, mean over pixels.

    TV(y) = 1 / (B C H W) * sum of |y[i+1, j] - y[i, j]| + |y[i, j+1] - y[i, j]|, in the units of the model's space.
    It removes noise and keeps the edges of the diffraction discs (Rudin, Osher, Fatemi, Physica D 60, 259 (1992), there
    in its isotropic form).

    Args:
        eps: smooths the corner of the absolute value, |d| becomes sqrt(d^2 + eps^2) - eps; 0 leaves it as it is.
    """

    def __init__(self, *, eps: Annotated[float, Field(ge=0)] = 0.0) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, prediction: Tensor, mask: Tensor | None = None) -> Tensor:
        """The total variation of images (n, c, h, w), a scalar. A difference counts where both of its pixels do.

        Raises:
            UserError: if the prediction is no batch of images.
        """
        if prediction.dim() < 3:
            raise UserError(f"total_variation needs images, not {tuple(prediction.shape)}")
        valid = None if mask is None else mask.expand_as(prediction)
        return sum((self._along(axis, prediction, valid) for axis in (-2, -1)), prediction.new_zeros(()))

    def _along(self, axis: int, x: Tensor, valid: Tensor | None) -> Tensor:
        pairs = x.shape[axis] - 1
        if valid is not None:
            # What does not count may be NaN, and 0 * NaN would reach the gradient.
            x = torch.where(valid, x, 0.0)
        change = x.narrow(axis, 1, pairs) - x.narrow(axis, 0, pairs)
        change = change.abs() if self.eps == 0 else (change.square() + self.eps**2).sqrt() - self.eps
        if valid is None:
            return change.sum() / x.numel()
        both = valid.narrow(axis, 1, pairs) & valid.narrow(axis, 0, pairs)
        return torch.where(both, change, 0.0).sum() / valid.sum().clamp(min=1)
