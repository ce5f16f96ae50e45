"""Losses broken in one way each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from stemcore import Loss
from stemcore.testing import LossExample
from tests.testing.mutation import Mutant


def masked_error(prediction: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return (prediction - target).square()
    return (torch.where(mask, prediction, 0.0) - torch.where(mask, target, 0.0)).square()


class Sound(Loss):
    """Mean over items of the mean squared error over the pixels that count."""

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss of images (n, c, h, w)."""
        error = masked_error(prediction, target, mask).flatten(1)
        count = torch.full_like(error, 1.0) if mask is None else mask.flatten(1).to(error.dtype)
        return (error.sum(1) / count.sum(1).clamp(min=1)).mean()


def reference(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    return float(np.mean([((p - t)[m] ** 2).mean() for p, t, m in zip(prediction, target, mask, strict=True)]))


def examples(folder):
    same = torch.linspace(0, 3, 8 * 256).reshape(8, 1, 16, 16)
    bright = {"dazzled": {"prediction": same * 1e4}}
    return [LossExample(reference=reference, zero={"prediction": same, "target": same}, mean=True, edges=bright)]


class PerPixel(Sound):
    def forward(self, prediction, target):
        return (prediction - target).square()


class Number(Sound):
    def forward(self, prediction, target):
        return float((prediction - target).square().mean())


class Infinite(Sound):
    def forward(self, prediction, target):
        return (prediction - target).square().mean() / torch.zeros(())


class Detached(Sound):
    def forward(self, prediction, target):
        return (prediction.detach() - target).square().mean()


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class WrongGradient(Sound):
    def forward(self, prediction, target):
        return (_Doubled.apply(prediction) - target).square().mean()


class HalfAsMuch(Sound):
    def forward(self, prediction, target, mask=None):
        return super().forward(prediction, target, mask) / 2


class NeverZero(Sound):
    def forward(self, prediction, target, mask=None):
        return super().forward(prediction, target, mask) + 1e-3


class SumOverItems(Sound):
    def forward(self, prediction, target, mask=None):
        return super().forward(prediction, target, mask) * len(prediction)


class SpreadOfItems(Sound):
    def forward(self, prediction, target):
        return (prediction - target).square().flatten(1).mean(1).std()


class RootMeanSquare(Sound):
    def forward(self, prediction, target):
        return (prediction - target).square().mean().sqrt()


class Logarithm(Sound):
    def forward(self, prediction, target):
        return (prediction.exp() - target.exp()).square().mean()


class MaskedAfterwards(Sound):
    def forward(self, prediction, target, mask):
        return torch.where(mask, (prediction - target).square(), 0.0).sum() / mask.sum().clamp(min=1)


class EverythingCounts(Sound):
    def forward(self, prediction, target, mask):
        return torch.nan_to_num(prediction - target).square().sum() / mask.sum().clamp(min=1)


class NothingLeft(Sound):
    def forward(self, prediction, target, mask):
        return masked_error(prediction, target, mask).sum() / mask.sum()


class CancelsInBfloat16(Sound):
    def forward(self, prediction, target):
        ones = torch.ones(prediction[0].numel(), 1, dtype=prediction.dtype)
        far = (prediction.flatten(1) + 1000) @ ones - (target.flatten(1) + 1000) @ ones
        return far.square().mean()


class InPlace(Sound):
    def forward(self, prediction, target, mask=None):
        value = super().forward(prediction, target, mask)
        target.mul_(0.5)
        return value


class Trainable(Sound):
    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))


SOUND = [(Sound, examples)]
MUTANTS = [
    Mutant("check_scalar", PerPixel, r"returned shape \(8, 1, 16, 16\), not a scalar"),
    Mutant("check_scalar", Number, "returned float, not a tensor"),
    Mutant("check_scalar", Infinite, "returned inf"),
    Mutant("check_gradient", Detached, "no gradient flows to prediction"),
    Mutant("check_gradient", WrongGradient, "its gradient for prediction is not that of its value"),
    Mutant("check_reference", HalfAsMuch, "its reference", examples),
    Mutant("check_zero", NeverZero, r"should be zero there, but is 0\.001", examples),
    Mutant("check_mean_over_items", SumOverItems, "its items on average", examples),
    Mutant("check_batch_of_one", SpreadOfItems, "not finite at a batch of one item"),
    Mutant("check_edges", RootMeanSquare, "the gradient for prediction is not finite at zeros"),
    Mutant("check_edges", Logarithm, "the value is not finite at dazzled", examples),
    Mutant("check_masks", MaskedAfterwards, "the gradient for prediction is not finite at NaN where the mask is false"),
    Mutant("check_masks", EverythingCounts, "the value depends on what the mask leaves out"),
    Mutant("check_masks", NothingLeft, "not finite at a mask that is false everywhere"),
    Mutant("check_autocast", CancelsInBfloat16, "under autocast"),
    Mutant("check_leaves_inputs_alone", InPlace, "it changed 'target' in place"),
    Mutant("check_no_parameters", Trainable, "it has trainable parameters: temperature"),
]
