"""Value transforms whose numbers are fitted on the training split."""

from __future__ import annotations

from math import isfinite, nan, sqrt
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.extremes import Extremes
from stem_transforms.features import fixed, measured, refuse_infinite, refuse_never_measured, report_flat
from stem_transforms.moments import Moments, PixelMoments
from stemcore import FieldSpec, Transform, UserError

_RESOLUTION = torch.finfo(torch.float32).eps


class Standardize(Transform):
    """Zero mean and unit standard deviation of the values of the training split: y = (x - mean) / std.

    Any shape. ``by: field`` has one standard deviation for the whole field, about one mean, or about the mean of each
    pixel: what is the same in every pattern, such as the direct beam, is then gone, and a model starts from the mean
    pattern instead of having to learn it. ``by: feature`` has a mean and a standard deviation for each value of the
    shape (each column of a table); a feature that does not vary is divided by 1, and a line of the log names it.

    Every valid value counts; where the field may hold NaN, NaN is a missing value, which passes through. The moments of
    each batch are merged in float64 by the formula of Chan, Golub and LeVeque (1983), so neither the batches nor their
    order matter and large means cost no digits. Until fitted the numbers are NaN.

    Args:
        mean: what is subtracted from the whole field: one scalar, or the mean pattern. ``by: feature`` has the mean of
            each feature in any case.
        by: whether the standard deviation is the field's, or each feature's own.
        ddof: what the number of values is reduced by under the root: 1 for the unbiased variance, 0 for
            scikit-learn's ``StandardScaler``.
    """

    fitted: ClassVar[bool] = True
    mean: Tensor
    std: Tensor
    _who: ClassVar[str] = "standardize"

    def __init__(
        self,
        spec: FieldSpec,
        *,
        mean: Literal["scalar", "pattern"] = "scalar",
        by: Literal["field", "feature"] = "field",
        ddof: Annotated[int, Field(ge=0, le=1)] = 1,
    ) -> None:
        super().__init__(spec)
        self.by = by
        self.ddof = ddof
        scalar = mean == "scalar" and by == "field"
        self._merged: Moments | PixelMoments = Moments() if scalar else PixelMoments()
        self.register_buffer("mean", torch.full(() if scalar else fixed(spec, self._who), nan))
        self.register_buffer("std", torch.full(self.mean.shape if by == "feature" else (), nan))

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        if x.numel():
            self._merged.add(x, measured(self.spec, x, mask))

    def finish(self) -> None:
        """Sets mean and standard deviation.

        Raises:
            UserError: for fewer than two valid values, a feature without any, values that are not finite, or values
                that are all the same.
        """
        count, name = self._merged.count, self.spec.name
        if count < 2:
            raise UserError(f"{self._who}: '{name}' has {count:.0f} valid training values, two are needed")
        mean, std = self._of_features() if self.by == "feature" else self._of_field()
        self.mean.copy_(mean)
        self.std.copy_(std)

    def _of_features(self) -> tuple[Tensor, Tensor]:
        merged = self._merged
        assert isinstance(merged, PixelMoments)
        refuse_never_measured(self.spec, merged.counts == 0, self._who)
        refuse_infinite(self.spec, ~torch.isfinite(merged.mean + merged.deviations), self._who)
        std = torch.sqrt(merged.deviations / (merged.counts - self.ddof).clamp(min=1))
        flat = std <= _RESOLUTION * merged.mean.abs()
        report_flat(self.spec, flat, self._who)
        return merged.mean, torch.where(flat, 1.0, std)

    def _of_field(self) -> tuple[Tensor, Tensor]:
        mean, squares = self._merged.mean, self._merged.squares
        who = f"{self._who}: the training values of '{self.spec.name}'"
        if not (bool(torch.isfinite(mean).all()) and isfinite(squares)):
            raise UserError(f"{who} hold NaN or infinity", hint="mask those values or mend the data")
        std = sqrt(squares / (self._merged.count - self.ddof))
        if std <= _RESOLUTION * float(mean.abs().max()):
            said = f"constant ({float(mean):g})" if mean.dim() == 0 else "constant: all patterns are the same"
            raise UserError(
                f"{who} are {said}, so their standard deviation is zero",
                hint=f"check the data, or leave {self._who} out",
            )
        return mean, torch.tensor(std, dtype=torch.float64, device="cpu")

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / std, shape kept."""
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        """x * std + mean, shape kept."""
        return x * self.std + self.mean


class ZScore(Standardize):
    """Zero mean and unit standard deviation of each feature: ``standardize`` with ``by: feature`` and ``ddof: 0``.

    The numbers are those of scikit-learn's ``StandardScaler``.
    """

    _who: ClassVar[str] = "zscore"

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec, by="feature", ddof=0)


class MinMax(Transform):
    """The range of the training split's values onto 0 to 1: y = (x - low) / (high - low).

    Any shape. One minimum and maximum for the whole field, or one for each value of the shape (each column of a table,
    as scikit-learn's ``MinMaxScaler``); a feature that does not vary is divided by 1, and a line of the log names it.
    Values outside the range of the training split go outside 0 to 1: nothing is clipped, so the inverse holds
    everywhere. Where the field may hold NaN, NaN is a missing value, which passes through. Until fitted the numbers are
    NaN.

    Args:
        by: whether the range is the field's, or each feature's own.
    """

    fitted: ClassVar[bool] = True
    low: Tensor
    high: Tensor

    def __init__(self, spec: FieldSpec, *, by: Literal["field", "feature"] = "field") -> None:
        super().__init__(spec)
        self._extremes = Extremes(fixed(spec, "minmax") if by == "feature" else ())
        self.register_buffer("low", torch.full(self._extremes.low.shape, nan))
        self.register_buffer("high", torch.full(self._extremes.low.shape, nan))

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        self._extremes.add(x, measured(self.spec, x, mask))

    def finish(self) -> None:
        """Sets the range.

        Raises:
            UserError: where there was no valid value, one that is not finite, or only one value throughout.
        """
        found, who = self._extremes, f"minmax: the training values of '{self.spec.name}'"
        if bool(found.unseen.all()):
            raise UserError(f"minmax: '{self.spec.name}' has no valid training values")
        flat = found.low == found.high
        if self.low.ndim:
            refuse_never_measured(self.spec, found.unseen, "minmax")
            refuse_infinite(self.spec, found.bad, "minmax")
            report_flat(self.spec, flat, "minmax")
        elif bool(found.bad):
            raise UserError(f"{who} hold NaN or infinity", hint="mask those values or mend the data")
        elif bool(flat):
            raise UserError(
                f"{who} are constant ({float(found.low):g}), so their range is empty",
                hint="check the data, or leave minmax out",
            )
        self.low.copy_(found.low)
        self.high.copy_(found.high)

    def _span(self) -> Tensor:
        return torch.where(self.high == self.low, 1.0, self.high - self.low)

    def forward(self, x: Tensor) -> Tensor:
        """(x - low) / (high - low), shape kept."""
        return (x - self.low) / self._span()

    def inverse(self, x: Tensor) -> Tensor:
        """x * (high - low) + low, shape kept."""
        return x * self._span() + self.low
