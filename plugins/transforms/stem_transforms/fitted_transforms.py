"""Value transforms whose numbers are fitted on the training split."""

from __future__ import annotations

from math import inf, isfinite, nan, sqrt
from typing import ClassVar

import torch
from torch import Tensor

from stemcore import FieldSpec, Transform, UserError

_RESOLUTION = torch.finfo(torch.float32).eps


class Standardize(Transform):
    """Zero mean and unit standard deviation over all values of the training split: y = (x - mean) / std.

    One scalar mean and one scalar standard deviation (with n - 1) for the whole field, any shape. Every valid value
    counts. Each item's mean and sum of squared deviations are found in one go for the batch; they are merged in
    float64 by the formula of Chan, Golub and LeVeque (1983), so neither the batches nor their order matter and large
    means cost no digits. Until fitted the numbers are NaN.
    """

    fitted: ClassVar[bool] = True
    mean: Tensor
    std: Tensor

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.tensor(nan))
        self.register_buffer("std", torch.tensor(nan))
        self._merged = (0.0, 0.0, 0.0)

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        if x.numel() == 0:
            return
        held = torch.tensor(self._merged, dtype=torch.float64, device="cpu")
        self._merged = _merge(torch.cat([held[:, None], _moments(x, mask)], dim=1))

    def finish(self) -> None:
        """Sets mean and standard deviation.

        Raises:
            UserError: for fewer than two valid values, values that are not finite, or values that are all the same.
        """
        count, mean, squares = self._merged
        who = f"standardize: the training values of '{self.spec.name}'"
        if count < 2:
            raise UserError(f"standardize: '{self.spec.name}' has {count:.0f} valid training values, two are needed")
        if not (isfinite(mean) and isfinite(squares)):
            raise UserError(f"{who} hold NaN or infinity", hint="mask those values or mend the data")
        std = sqrt(squares / (count - 1))
        if std <= _RESOLUTION * abs(mean):
            raise UserError(
                f"{who} are constant ({mean:g}), so their standard deviation is zero",
                hint="check the data, or leave standardize out",
            )
        self.mean.fill_(mean)
        self.std.fill_(std)

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / std, shape kept."""
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        """x * std + mean, shape kept."""
        return x * self.std + self.mean


def _moments(x: Tensor, mask: Tensor | None) -> Tensor:
    """Count, mean and sum of squared deviations (3, n) of each item, in float64 on the host.

    The corrected two-pass algorithm: what the deviations still sum to mends the rounding of the mean. On a CPU it is
    many times as fast as ``torch.var_mean``, whose running update does not vectorise.
    """
    rows = x.reshape(x.shape[0], -1)
    if mask is None:
        mean = rows.mean(dim=1)
        count = torch.full_like(mean, rows.shape[1])
        deviations = rows - mean[:, None]
    else:
        valid = mask.reshape(rows.shape)
        count = valid.sum(dim=1).to(rows.dtype)
        mean = torch.where(valid, rows, 0).sum(dim=1) / count.clamp(min=1)
        deviations = torch.where(valid, rows - mean[:, None], 0)
    parts = torch.stack([count, mean, deviations.sum(dim=1), deviations.square_().sum(dim=1)])
    count, mean, left, squares = parts.cpu().double()
    shift = left / count.clamp(min=1)
    return torch.stack([count, mean + shift, (squares - left * shift).clamp(min=0)])


def _merge(parts: Tensor) -> tuple[float, float, float]:
    """Count, mean and sum of squared deviations of the whole, from those (3, k) of its parts."""
    count, mean, squares = parts
    total = count.sum()
    if total == 0:
        return 0.0, 0.0, 0.0
    merged = (count * mean).sum() / total
    between = (count * (mean - merged).square()).sum()
    return float(total), float(merged), float(squares.sum() + between)


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
