"""Pearson correlations of tables: of features over items, and of items over features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from stem_metrics.features import FEWEST, FeatureMoments, Moments, constant, median
from stem_metrics.pattern import Pixels, pixels
from stemcore import wide


class PearsonCorrelation(FeatureMoments):
    """Pearson's r of prediction and target of a table, by feature (over the items in which it was measured) and by
    sample (over the features that were measured in it), each with its mean and its median.

    Features and samples with fewer than three measured values, or whose true values are all equal, are left out, and
    counted; a prediction that is constant scores 0. NaN where nothing is left.

    Correlations by feature are the same in any unit. Those by sample compare features with each other, and where these
    differ in their means say little: the mean of the training data alone comes close to 1. Ask for the space of the
    model, in which features have been standardized: ``inputs: {prediction: cross_a@model, target: target_a@model, mask:
    mask_a}``.
    """

    correlated = True
    sample_left_out: Tensor
    samples: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_sums("sample_left_out")
        self.add_state("samples", [], dist_reduce_fx="cat")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """Mean and median over features and over samples, and the number of each that is left out."""
        best: dict[str, Literal["min", "max"] | None] = {f"{of}_{k}": "max" for of in OF for k in ("mean", "median")}
        return {**best, **{f"{of}_left_out": None for of in OF}}

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch: prediction and target (n, features), ``mask`` true where a value was measured."""
        batch = pixels(prediction, target, mask)
        self.add(batch)
        scores, defined = of_samples(batch)
        self.samples.append(scores[defined].float())
        self.sample_left_out += (~defined).sum()

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        seen = self.moments()
        defined = seen.defined()
        features = of_features(seen)[defined]
        samples = (
            self.samples if isinstance(self.samples, Tensor) else torch.cat([*self.samples, features.new_zeros(0)])
        )
        found: dict[str, Tensor] = {}
        for of, scores in zip(OF, (features, wide(samples)), strict=True):
            found |= {f"{of}_mean": scores.mean(), f"{of}_median": median(scores)}
        return {**found, "feature_left_out": (~defined).sum(), "sample_left_out": self.sample_left_out}


OF = ("feature", "sample")


def of_features(seen: Moments) -> Tensor:
    """The correlation of each feature (features,)."""
    found_mean, found_squares, products = seen[4:]
    norm = found_squares.sqrt() * seen.true_squares.sqrt()
    return _bounded(products, norm, constant(found_squares, found_mean, seen.count))


def of_samples(batch: Pixels) -> tuple[Tensor, Tensor]:
    """The correlation of each item (n,) over its features, and where it is defined."""
    count = wide(batch.valid).sum(1)
    means, apart = zip(*(_centred(batch, x) for x in (batch.prediction, batch.target)), strict=True)
    found_squares, true_squares = (x.square().sum(1) for x in apart)
    norm = found_squares.sqrt() * true_squares.sqrt()
    scores = _bounded((apart[0] * apart[1]).sum(1), norm, constant(found_squares, means[0], count))
    return scores, (count >= FEWEST) & ~constant(true_squares, means[1], count)


def _centred(batch: Pixels, x: Tensor) -> tuple[Tensor, Tensor]:
    mean = batch.mean(x)
    return mean, (x - mean[:, None]).where(batch.valid, 0)


def _bounded(products: Tensor, norm: Tensor, flat: Tensor) -> Tensor:
    """The quotient, rounding errors beyond 1 cut off, and 0 for a constant prediction. A NaN stays one."""
    return (products / norm.where(norm != 0, 1)).clamp(-1, 1).masked_fill(flat, 0)
