"""Missing values from the rows of a table that are nearest in what both have."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

PAIRS_AT_ONCE = 1 << 24
"""Distances that are looked through at once, 8 bytes each."""


def distances(x: Tensor, table: Tensor) -> Tensor:
    """Mean squared differences (n, rows) over the values that both rows have, infinity where they share none.

    This is the square of the NaN-Euclidean distance (Dixon 1979; scikit-learn's ``nan_euclidean_distances``) over the
    number of features, and so in the same order.

    Args:
        x: rows (n, values) with NaN where a value is missing.
        table: rows (rows, values), likewise.
    """
    there, known = ~torch.isnan(x), ~torch.isnan(table)
    # Distances do not change where all rows are moved alike; near zero their squares lose fewer digits.
    middle = torch.where(known, table, 0).sum(dim=0) / known.sum(dim=0).clamp(min=1)
    x, table = torch.where(there, x - middle, 0), torch.where(known, table - middle, 0)
    there, known = there.to(x.dtype), known.to(x.dtype)
    squares = x.square() @ known.T + there @ table.square().T - 2 * x @ table.T
    shared = there @ known.T
    return torch.where(shared > 0, squares.clamp(min=0) / shared.clamp(min=1), inf)


def from_neighbours(x: Tensor, table: Tensor, otherwise: Tensor, neighbors: int) -> Tensor:
    """Rows (n, values) with their NaN replaced by the mean over the nearest rows of a table that have the value.

    As scikit-learn's ``KNNImputer`` with uniform weights: of each value only the rows that have it count, fewer than
    ``neighbors`` if there are no more; where no row shares a value with the one to be filled, ``otherwise`` (values,)
    is taken.
    """
    item, feature = torch.isnan(x).nonzero(as_tuple=True)
    if len(item) == 0 or len(table) == 0:
        return torch.where(torch.isnan(x), otherwise, x)
    # In float64 where the device has it: which of two rows is nearer is then not decided by rounding.
    exact = x.dtype if x.device.type == "mps" else torch.float64
    rows, place = torch.unique(item, return_inverse=True)
    apart = distances(x[rows].to(exact), table.to(exact))
    filled = x.clone()
    for part in torch.split(torch.arange(len(item), device=x.device), max(1, PAIRS_AT_ONCE // len(table))):
        columns = feature[part]
        values = table[:, columns].T
        away = torch.where(torch.isnan(values), inf, apart[place[part]])
        nearest = away.topk(min(neighbors, len(table)), dim=1, largest=False)
        counts = torch.isfinite(nearest.values)
        total = torch.where(counts, values.gather(1, nearest.indices), 0).sum(dim=1)
        found = total / counts.sum(dim=1).clamp(min=1)
        filled[item[part], columns] = torch.where(counts.any(dim=1), found, otherwise[columns])
    return filled
