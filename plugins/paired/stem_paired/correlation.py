"""Correlations between predicted and measured tables."""

from __future__ import annotations

import numpy as np

LEAST_VALUES = 3


def by_feature(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson's r of each column of two tables (n, features) over the rows where it was measured (not NaN), float64.

    A prediction that does not vary has r = 0; a column that was measured fewer than three times or whose measured
    values are all the same has none: NaN.
    """
    known = np.isfinite(measured)
    count = known.sum(0)
    p, m = (_deviations(np.asarray(x, np.float64), known, count) for x in (predicted, measured))
    spread = (m**2).sum(0)
    product = np.sqrt((p**2).sum(0) * spread)
    r = (p * m).sum(0) / np.where(product > 0, product, 1.0)
    return np.where((count >= LEAST_VALUES) & (spread > 0), r, np.nan)


def by_sample(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The same of each row over its columns, (n,). It says something of standardized columns alone: else the mean row
    correlates with every row."""
    return by_feature(predicted.T, measured.T)


def _deviations(x: np.ndarray, known: np.ndarray, count: np.ndarray) -> np.ndarray:
    mean = np.where(known, x, 0.0).sum(0) / np.maximum(count, 1)
    deviations = np.where(known, x - mean, 0.0)
    # What rounding leaves of a constant is no variation.
    scale = np.abs(np.where(known, x, 0.0)).max(0) if len(x) else np.zeros(x.shape[1])
    deviations[:, np.abs(deviations).max(0, initial=0.0) <= 1e-6 * scale] = 0.0
    return deviations
