"""Scores of single patterns, accumulated to their mean and spread over a data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from stemcore import SummedMetric, UserError, wide


class Pixels(NamedTuple):
    """A batch as rows of pixels (n, pixels): prediction and target in float64, 0 where not ``valid``."""

    prediction: Tensor
    target: Tensor
    valid: Tensor

    def mean(self, x: Tensor) -> Tensor:
        """Mean of ``x`` (n, pixels; 0 where not valid) over each pattern's valid pixels, (n,)."""
        return x.sum(1) / self.valid.sum(1).clamp(min=1)

    def maximum(self, x: Tensor) -> Tensor:
        """Largest valid value of each pattern, (n,); -inf where no pixel is valid."""
        return x.masked_fill(~self.valid, -torch.inf).amax(1)

    def minimum(self, x: Tensor) -> Tensor:
        """Smallest valid value of each pattern, (n,); inf where no pixel is valid."""
        return x.masked_fill(~self.valid, torch.inf).amin(1)

    def target_range(self) -> Tensor:
        """Largest less smallest valid target value of each pattern, (n,); 0 where no pixel is valid."""
        return (self.maximum(self.target) - self.minimum(self.target)).clamp(min=0)


def valid_pixels(mask: Tensor | None, target: Tensor) -> Tensor:
    """Where the pixels of ``target`` count, in its shape.

    Raises:
        UserError: if the mask does not fit.
    """
    if mask is None:
        return torch.ones_like(target, dtype=torch.bool)
    try:
        return mask.bool().expand_as(target)
    except RuntimeError as error:
        raise UserError(f"a mask {tuple(mask.shape)} does not fit patterns {tuple(target.shape)}") from error


def pixels(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Pixels:
    """A batch (n, c, h, w) or (n, d) as rows of pixels. ``mask`` is true where a pixel counts and may be broadcast;
    what the others hold, NaN included, does not matter.

    Raises:
        UserError: if prediction and target differ in shape, or the mask does not fit them.
    """
    if prediction.shape != target.shape:
        raise UserError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape",
            hint="a metric compares tensors of one field",
        )
    every = (prediction, target, valid_pixels(mask, target))
    found, true, valid = (x[:, None] if x.ndim == 1 else x.flatten(1) for x in every)
    return Pixels(wide(found).masked_fill(~valid, 0), wide(true).masked_fill(~valid, 0), valid)


class PatternSums(SummedMetric):
    """Sums of a score per pattern. Reports the mean and the standard deviation over patterns (population: divided
    by their number, so that it is defined for one). Every pattern has the same weight, however many valid pixels it
    has. Patterns without a valid pixel, and those for which the score is not defined, are left out; where the latter
    can happen their number is reported as ``left_out``. A NaN or infinity in a prediction is not left out: it makes
    the mean NaN or infinite. Without any pattern the mean is NaN.
    """

    direction: ClassVar[Literal["min", "max"]] = "min"
    partial: ClassVar[bool] = False
    """Whether the score is undefined for some patterns."""

    count: Tensor
    total: Tensor
    squares: Tensor
    left_out: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_sums("count", "total", "squares", "left_out")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """The mean, its better direction, and the standard deviation ``std`` over patterns."""
        return {"": self.direction, "std": None, **({"left_out": None} if self.partial else {})}

    @abstractmethod
    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The score of each pattern (n,), and where it is defined (n,), bool."""

    def add(self, batch: Pixels) -> None:
        """Adds the scores of a batch to the sums."""
        scores, defined = self.scores(batch)
        defined = defined & batch.valid.any(1)
        kept = scores.masked_fill(~defined, 0).to(self.total.dtype)
        self.count += defined.sum()
        self.total += kept.sum()
        self.squares += kept.square().sum()
        self.left_out += (~defined).sum()

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        mean = self.total / self.count
        std = (self.squares / self.count - mean.square()).clamp(min=0).sqrt()
        return {"": mean, "std": std, **({"left_out": self.left_out} if self.partial else {})}


class PatternMetric(PatternSums):
    """A score of the prediction of each pattern against its target."""

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch: prediction and target (n, c, h, w) or (n, d), ``mask`` true where a pixel counts."""
        self.add(pixels(prediction, target, mask))


def everywhere(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (n,) that are defined for every pattern."""
    return scores, torch.ones_like(scores, dtype=torch.bool)
