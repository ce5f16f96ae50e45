"""Prediction and target over the pixels that count."""

from __future__ import annotations

import torch
from torch import Tensor

from stemcore import UserError


def paired(prediction: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Prediction, target and mask in one shape, with zeros in the first two where the mask is false.

    What is masked out may be NaN: it is replaced before any arithmetic, since even a difference that is masked
    afterwards would bring 0 * NaN into the gradient.

    Args:
        prediction: (n, ...).
        target: of the same shape.
        mask: bool, true where a pixel counts, of a shape that expands to theirs; ``None`` if all do.

    Raises:
        UserError: if the shapes differ (broadcasting would compare every pixel with every other one).
    """
    if prediction.shape != target.shape:
        raise UserError(
            f"the prediction {tuple(prediction.shape)} and its target {tuple(target.shape)} differ in shape",
            hint="'inputs' says what is compared with what",
        )
    if mask is None:
        return prediction, target, None
    try:
        valid = mask.expand_as(target)
    except RuntimeError as error:
        raise UserError(f"a mask {tuple(mask.shape)} does not fit a target {tuple(target.shape)}") from error
    return torch.where(valid, prediction, 0.0), torch.where(valid, target, 0.0), valid


def mean_over(error: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid pixels of a batch; zero, with a gradient of zero, where there are none."""
    if valid is None:
        return error.mean()
    return torch.where(valid, error, 0.0).sum() / valid.sum().clamp(min=1)
