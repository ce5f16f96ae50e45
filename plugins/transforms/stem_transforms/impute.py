"""Missing values filled in by numbers of the training split."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import nan
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.features import fixed, holes, measured, refuse_infinite, refuse_never_measured, scikit_learn
from stem_transforms.moments import PixelMoments
from stem_transforms.neighbours import from_neighbours
from stem_transforms.rows import TrainingRows
from stemcore import FieldSpec, Transform

log = logging.getLogger("stemcore")
COLUMNS_AT_ONCE = 512


class Impute(Transform):
    """Missing values (NaN) replaced by what the training split says of their feature.

    Any shape; the main case is a row of a table, (features,). Every value of the shape is a feature with a number of
    its own. In the fit a value is missing where it is NaN or where the mask is false; what is given later is filled
    where it is NaN. What was measured stays as it is, and the inverse leaves everything as it is.

    - ``mean``, ``median``: of the feature's training values (scikit-learn's ``SimpleImputer``).
    - ``knn``: the mean over the ``neighbors`` training rows that have the feature and are nearest in the features which
      both rows have, by the NaN-Euclidean distance; the feature's mean for a row that shares no feature with any
      (scikit-learn's ``KNNImputer`` with uniform weights). The training rows are kept in the checkpoint, and every
      row to be filled is compared with all of them.
    - ``zero``: zero, for what has been standardised before.

    ``median`` and ``knn`` hold all training rows in memory, 2 GB at most. Until fitted the numbers are NaN.

    Args:
        method: what a missing value is replaced by.
        neighbors: number of training rows for ``knn``.

    Raises:
        UserError: for a feature that is never measured in the training split (not for ``zero``), training values that
            are infinite, more than 2 GB of rows, or a ``median`` without scikit-learn.
    """

    fitted: ClassVar[bool] = True
    resized: ClassVar[tuple[str, ...]] = ("table",)
    fill: Tensor
    table: Tensor

    def __init__(
        self,
        spec: FieldSpec,
        *,
        method: Literal["mean", "median", "knn", "zero"] = "mean",
        neighbors: Annotated[int, Field(ge=1)] = 5,
    ) -> None:
        super().__init__(spec)
        self.method = method
        self.neighbors = neighbors
        self._who = f"impute: method {method}"
        shape = () if method == "zero" else fixed(spec, "impute")
        self.register_buffer("fill", torch.full(shape, 0.0 if method == "zero" else nan))
        if method == "knn":
            self.register_buffer("table", torch.empty(0, spec.size))
        whole = method in ("median", "knn")
        self._rows = TrainingRows(spec, self._who, "use method mean") if whole else None
        self._means = PixelMoments()
        self._seen = self._missing = 0

    def out_spec(self) -> FieldSpec:
        """The same field without missing values."""
        return replace(self.spec, finite=True)

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value is missing."""
        if x.numel() == 0:
            return
        there = measured(replace(self.spec, finite=False), x, mask)
        self._seen += x.numel()
        self._missing += int((~there).sum()) if there is not None else 0
        if self.method != "zero":
            self._means.add(x, there)
        if self._rows is not None:
            self._rows.add(holes(x, there), None)

    def finish(self) -> None:
        """Sets what missing values are replaced by.

        Raises:
            UserError: for features that are never measured, or whose values are infinite.
        """
        log.info("impute: %d of %d training values of '%s' are missing", self._missing, self._seen, self.spec.name)
        if self.method == "zero":
            return
        means = self._means.mean.expand(self.fill.shape)
        refuse_never_measured(self.spec, (self._means.counts == 0).expand(means.shape), self._who)
        refuse_infinite(self.spec, ~torch.isfinite(means), self._who)
        rows = self._rows.take() if self._rows is not None else None
        self.fill.copy_(means if rows is None or self.method == "knn" else _medians(rows).reshape(means.shape))
        if rows is not None and self.method == "knn":
            self.table = rows.to(self.fill.device)

    def readable(self) -> dict[str, float | Tensor]:
        """The number of each feature; of ``knn`` also how many training rows are kept."""
        rows: dict[str, float | Tensor] = {"rows": len(self.table)} if self.method == "knn" else {}
        name = "mean" if self.method == "knn" else self.method
        return {name: self.fill, **rows} if self.method != "zero" else {}

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with its NaN replaced, shape kept."""
        if self.method != "knn":
            return torch.where(torch.isnan(x), self.fill.to(x.dtype), x)
        with torch.no_grad():
            rows, fill = x.detach().reshape(len(x), -1), self.fill.reshape(-1)
            filled = from_neighbours(rows, self.table.to(x.dtype), fill.to(x.dtype), self.neighbors)
        return torch.where(torch.isnan(x), filled.reshape(x.shape), x)

    def inverse(self, x: Tensor) -> Tensor:
        """``x`` as it is."""
        return x


def _medians(rows: Tensor) -> Tensor:
    """The median of each column (columns,) of rows in which NaN is missing, in float64, some columns at a time."""
    with scikit_learn("impute: method median"):
        from sklearn.impute import SimpleImputer
    parts = torch.split(rows, COLUMNS_AT_ONCE, dim=1)
    fitted = [SimpleImputer(strategy="median").fit(part.double().numpy()).statistics_ for part in parts]
    return torch.cat([torch.from_numpy(found) for found in fitted])
