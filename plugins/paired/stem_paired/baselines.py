"""Simple ways to impute one platform from the other, which a model has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stem_paired.correlation import by_feature
from stemcore import UserError

FOLDS = 5
SEED = 42


def fitted(name: str, given: np.ndarray, wanted: np.ndarray) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """A baseline fitted to rows of both platforms, both standardized and without gaps.

    - ``mean``: the mean row.
    - ``knn``: the mean of the nearest rows by Euclidean distance.
    - ``wnn``: a mean of the nearest rows weighted by exp(-(d / d_k)^2), d their distance and d_k that of the farthest.
    - ``ridge``: linear regression with a squared penalty.
    - ``pls``: partial least squares (PLS2).

    The number of neighbours or components and the penalty are those with the highest mean correlation over the features
    in a five-fold cross-validation on these rows.

    Args:
        name: which one.
        given, wanted: (n, features of the one) and (n, features of the other).

    Returns:
        the function from (m, features of the one) to (m, features of the other), and its setting in words.

    Raises:
        UserError: if scikit-learn is not installed.
    """
    if name == "mean":
        mean = wanted.mean(0)
        return (lambda rows: np.tile(mean, (len(rows), 1))), ""
    try:
        from sklearn.model_selection import GridSearchCV, KFold
    except ImportError as error:
        raise UserError("the baselines need scikit-learn", hint="pip install 'stemcore[omics]'") from error
    estimator, grid = _family(name, *given.shape)
    folds = KFold(min(FOLDS, len(given)), shuffle=True, random_state=SEED)
    search = GridSearchCV(estimator, grid, scoring=_mean_correlation, cv=folds, error_score="raise")
    search.fit(given, wanted)
    found = ", ".join(f"{key} {value:g}" for key, value in search.best_params_.items())
    return (lambda rows: np.asarray(search.predict(rows)).reshape(len(rows), -1)), found


def _family(name: str, rows: int, features: int) -> tuple[Any, Mapping[str, Sequence[float]]]:
    """An estimator and the settings that are tried, as far as there are rows for them."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor

    fitted_rows = rows - -(-rows // min(FOLDS, rows))
    neighbors = [k for k in (3, 5, 10, 20, 40) if k <= fitted_rows] or [1]
    components = [k for k in (2, 4, 8, 16, 32) if k <= min(fitted_rows - 1, features)] or [1]
    families: dict[str, tuple[Any, Mapping[str, Sequence[float]]]] = {
        "knn": (KNeighborsRegressor(), {"n_neighbors": neighbors}),
        "wnn": (KNeighborsRegressor(weights=_kernel), {"n_neighbors": neighbors}),
        "ridge": (Ridge(), {"alpha": [1.0, 10.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0]}),
        "pls": (PLSRegression(scale=False), {"n_components": components}),
    }
    return families[name]


def _kernel(distances: np.ndarray) -> np.ndarray:
    """Weights of neighbours by their distances (n, k)."""
    farthest = np.maximum(distances.max(axis=1, keepdims=True), np.finfo(float).tiny)
    weights: np.ndarray = np.exp(-np.square(distances / farthest))
    return weights


def _mean_correlation(estimator: Any, given: np.ndarray, wanted: np.ndarray) -> float:
    r = by_feature(np.asarray(estimator.predict(given)).reshape(wanted.shape), wanted)
    return float(np.mean(np.nan_to_num(r)))
