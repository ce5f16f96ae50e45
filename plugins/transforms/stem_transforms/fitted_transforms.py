"""Value transforms whose numbers are fitted on the training split."""

from __future__ import annotations

from math import inf, isfinite, nan, sqrt
from typing import ClassVar, Literal

import torch
from torch import Tensor

from stem_transforms.moments import Moments, PixelMoments
from stemcore import FieldSpec, Transform, UserError

_RESOLUTION = torch.finfo(torch.float32).eps


class Standardize(Transform):
    """Zero mean and unit standard deviation over all values of the training split: y = (x - mean) / std.

    One standard deviation (with n - 1) for the whole field, any shape, about one mean, or about the mean of each pixel:
    what is the same in every pattern, such as the direct beam, is then gone, and a model starts from the mean
    pattern instead of having to learn it. Every valid value counts. Each item's mean and sum of squared deviations are
    found in one go for the batch; they are merged in float64 by the formula of Chan, Golub and LeVeque (1983), so
    neither the batches nor their order matter and large means cost no digits. Until fitted the numbers are NaN.

    Args:
        mean: what is subtracted: one scalar, or the mean pattern.
    """

    fitted: ClassVar[bool] = True
    mean: Tensor
    std: Tensor

    def __init__(self, spec: FieldSpec, *, mean: Literal["scalar", "pattern"] = "scalar") -> None:
        super().__init__(spec)
        self._merged: Moments | PixelMoments = Moments() if mean == "scalar" else PixelMoments()
        self.register_buffer("mean", torch.full(fixed(spec) if mean == "pattern" else (), nan))
        self.register_buffer("std", torch.tensor(nan))

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        if x.numel():
            self._merged.add(x, mask)

    def finish(self) -> None:
        """Sets mean and standard deviation.

        Raises:
            UserError: for fewer than two valid values, values that are not finite, or values that are all the same.
        """
        count, mean, squares = self._merged.count, self._merged.mean, self._merged.squares
        who = f"standardize: the training values of '{self.spec.name}'"
        if count < 2:
            raise UserError(f"standardize: '{self.spec.name}' has {count:.0f} valid training values, two are needed")
        if not (bool(torch.isfinite(mean).all()) and isfinite(squares)):
            raise UserError(f"{who} hold NaN or infinity", hint="mask those values or mend the data")
        std = sqrt(squares / (count - 1))
        if std <= _RESOLUTION * float(mean.abs().max()):
            said = f"constant ({float(mean):g})" if mean.dim() == 0 else "constant: all patterns are the same"
            raise UserError(
                f"{who} are {said}, so their standard deviation is zero",
                hint="check the data, or leave standardize out",
            )
        self.mean.copy_(mean)
        self.std.fill_(std)

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / std, shape kept."""
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        """x * std + mean, shape kept."""
        return x * self.std + self.mean


class MinMax(Transform):
    """The range of the training split's values onto 0 to 1: y = (x - low) / (high - low).

    One scalar minimum and maximum for the whole field, any shape. Values outside the range of the training split go
    outside 0 to 1: nothing is clipped, so the inverse holds everywhere. Until fitted the numbers are NaN.
    """

    fitted: ClassVar[bool] = True
    low: Tensor
    high: Tensor

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.register_buffer("low", torch.tensor(nan))
        self.register_buffer("high", torch.tensor(nan))
        self._extremes = torch.tensor([inf, -inf], dtype=torch.float64, device="cpu")

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        if x.numel() == 0:
            return
        if mask is None:
            low, high = torch.aminmax(x)
        else:
            low, high = torch.where(mask, x, inf).amin(), torch.where(mask, x, -inf).amax()
        found = torch.stack([low, high]).cpu().double()
        # minimum and maximum hand NaN on, so that finish() sees it.
        held = self._extremes
        self._extremes = torch.stack([torch.minimum(held[0], found[0]), torch.maximum(held[1], found[1])])

    def finish(self) -> None:
        """Sets the range.

        Raises:
            UserError: where there was no valid value, one that is not finite, or only one value throughout.
        """
        low, high = self._extremes.tolist()
        who = f"minmax: the training values of '{self.spec.name}'"
        if low == inf and high == -inf:
            raise UserError(f"minmax: '{self.spec.name}' has no valid training values")
        if not (isfinite(low) and isfinite(high)):
            raise UserError(f"{who} hold NaN or infinity", hint="mask those values or mend the data")
        if low == high:
            raise UserError(
                f"{who} are constant ({low:g}), so their range is empty", hint="check the data, or leave minmax out"
            )
        self.low.fill_(low)
        self.high.fill_(high)

    def forward(self, x: Tensor) -> Tensor:
        """(x - low) / (high - low), shape kept."""
        return (x - self.low) / (self.high - self.low)

    def inverse(self, x: Tensor) -> Tensor:
        """x * (high - low) + low, shape kept."""
        return x * (self.high - self.low) + self.low


def fixed(spec: FieldSpec) -> tuple[int, ...]:
    """The shape of a field, all of whose axes have to be of a fixed length."""
    if any(n is None for n in spec.shape):
        raise UserError(f"standardize: '{spec.name}' has a varying shape {spec.shape} and so no mean pattern")
    return tuple(n for n in spec.shape if n is not None)
