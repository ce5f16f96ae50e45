"""Scaling by medians and quantiles, which a few extreme values do not move."""

from __future__ import annotations

from math import nan
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.features import fixed, refuse_infinite, refuse_never_measured, report_flat, scikit_learn
from stem_transforms.rows import TrainingRows
from stemcore import FieldSpec, Transform, UserError

COLUMNS_AT_ONCE = 512
Percent = Annotated[float, Field(ge=0, le=100)]


class Robust(Transform):
    """Median zero and unit interquartile range of each feature: y = (x - median) / spread.

    Any shape; every value of the shape is a feature with numbers of its own. The median and the spread, the distance
    between two quantiles, are those of scikit-learn's ``RobustScaler``, of the training values that count and are not
    NaN; NaN passes through. A feature whose spread is zero is divided by 1, and a line of the log names it. All
    training rows are held in memory for the fit, 2 GB at most. Until fitted the numbers are NaN.

    Args:
        quantiles: between which the spread is taken, in percent.

    Raises:
        UserError: for quantiles that are not in order, a feature without a training value or with infinite ones, data
            of which no feature spreads, more than 2 GB of rows, or where scikit-learn is missing.
    """

    fitted: ClassVar[bool] = True
    median: Tensor
    spread: Tensor

    def __init__(self, spec: FieldSpec, *, quantiles: tuple[Percent, Percent] = (25.0, 75.0)) -> None:
        super().__init__(spec)
        if quantiles[0] >= quantiles[1]:
            raise UserError(
                f"robust: the quantiles {list(quantiles)} are not in order", hint="the lower one comes first"
            )
        self.quantiles = quantiles
        shape = fixed(spec, "robust")
        self.register_buffer("median", torch.full(shape, nan))
        self.register_buffer("spread", torch.full(shape, nan))
        self._rows = TrainingRows(spec, "robust", "standardize and minmax need no memory")

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        if x.numel():
            self._rows.add(x, mask)

    def finish(self) -> None:
        """Sets median and spread.

        Raises:
            UserError: for features without a training value, or with infinite ones, or if no feature spreads.
        """
        rows = self._rows.take()
        refuse_infinite(self.spec, self._rows.bad, "robust")
        refuse_never_measured(self.spec, torch.isnan(rows).all(dim=0), "robust")
        parts = [_fit(part, self.quantiles) for part in torch.split(rows, COLUMNS_AT_ONCE, dim=1)]
        median, spread, flat = (torch.cat(found) for found in zip(*parts, strict=True))
        report_flat(self.spec, flat, "robust")
        self.median.copy_(median.reshape(self.median.shape))
        self.spread.copy_(spread.reshape(self.spread.shape))

    def forward(self, x: Tensor) -> Tensor:
        """(x - median) / spread, shape kept."""
        return (x - self.median) / self.spread

    def inverse(self, x: Tensor) -> Tensor:
        """x * spread + median, shape kept."""
        return x * self.spread + self.median


def _fit(rows: Tensor, quantiles: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """Median and spread of each column (columns,) of rows in which NaN is missing, in float64, and where the spread is
    zero and 1 stands for it."""
    with scikit_learn("robust"):
        from sklearn.preprocessing import RobustScaler
    exact = rows.double().numpy()
    fitted = RobustScaler(quantile_range=quantiles).fit(exact)
    flat = fitted.scale_ == 1
    if flat.any():  # by 1 because the spread is zero, or because it is 1
        low, high = np.nanpercentile(exact[:, flat], quantiles, axis=0)
        flat[flat] = low == high
    return torch.from_numpy(fitted.center_), torch.from_numpy(fitted.scale_), torch.from_numpy(flat)
