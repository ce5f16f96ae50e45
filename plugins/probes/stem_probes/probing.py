"""Probes: simple predictors of labels, each with frozen features alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stem_probes.draws import Draw

COSTS = (0.01, 0.1, 1.0, 10.0, 100.0)
ALPHAS = tuple(float(a) for a in np.logspace(-3, 4, 8))
FOLDS, FEWEST = 3, 4
"""Of the cross-validation that chooses a cost, and training labels of a class without which it says nothing."""


@dataclass(frozen=True)
class Neighbours:
    """Settings of k-NN: how many, and whether by ``cosine`` or ``euclidean`` distance."""

    k: int = 5
    metric: str = "cosine"


@dataclass(frozen=True)
class Said:
    """What a probe said of the rows that it was scored on in one draw.

    Attributes:
        predicted: codes (t,), or numbers (t, k).
        score: (t,) of the second of two classes, the larger the surer; ``None`` of other numbers of classes.
    """

    predicted: np.ndarray
    score: np.ndarray | None = None


def classify(features: np.ndarray, codes: np.ndarray, draw: Draw, neighbours: Neighbours, seed: int) -> dict[str, Said]:
    """What a linear probe (standardised features, logistic regression) and k-NN say of the scored rows.

    k-NN asks no more neighbours than classes have training labels on average.

    The inverse strength of the logistic regression's penalty is chosen from ``COSTS`` by cross-validation on the
    training labels, and is 1 where a class has fewer than ``FEWEST`` of these.

    Args:
        features: (m, D), NaN for what is missing.
        codes: (m,) classes from 0 on.
        draw: rows to train on and to score.
        neighbours: of k-NN.
        seed: of the folds.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, test = draw
    # Of as many neighbours as there are training labels the vote would be the same for every row.
    k = min(neighbours.k, len(train) // len(np.unique(codes[train])))
    probes = {
        "linear": _logistic(codes[train], features.shape[1], seed),
        "knn": _complete(KNeighborsClassifier(n_neighbors=k, metric=neighbours.metric, algorithm="brute")),
    }
    said = {}
    for name, probe in probes.items():
        probe.fit(features[train], codes[train])
        two = len(np.unique(codes[train])) == 2 == codes.max() + 1
        score = probe.predict_proba(features[test])[:, 1] if two else None
        said[name] = Said(probe.predict(features[test]), score)
    return said


def regress(features: np.ndarray, numbers: np.ndarray, draw: Draw, neighbours: Neighbours) -> dict[str, Said]:
    """As :func:`classify` of numbers (m, k): ridge regression on standardised features, its penalty chosen from
    ``ALPHAS`` by leave-one-out on the training labels, and k-NN."""
    from sklearn.linear_model import RidgeCV
    from sklearn.neighbors import KNeighborsRegressor

    train, test = draw
    knn = KNeighborsRegressor(n_neighbors=min(neighbours.k, len(train)), metric=neighbours.metric, algorithm="brute")
    probes = {"linear": _complete(_scaler(), RidgeCV(alphas=ALPHAS)), "knn": _complete(knn)}
    predicted = {n: p.fit(features[train], numbers[train]).predict(features[test]) for n, p in probes.items()}
    return {name: Said(values.reshape(len(test), -1)) for name, values in predicted.items()}


def components(values: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Principal components (m, c) of rows (m, R), fitted to all of them without their labels; NaN is the mean."""
    from sklearn.decomposition import PCA

    filled = _complete().fit_transform(values)
    count = min(count, *filled.shape)
    found: np.ndarray = PCA(count, random_state=seed).fit_transform(filled)
    return found


def _logistic(codes: np.ndarray, width: int, seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    # A penalised fit lies in the span of its training rows: turned into it, wide features cost less for the same.
    turned = [PCA(svd_solver="full")] if width > len(codes) else []
    probe = _complete(_scaler(), *turned, LogisticRegression(max_iter=5000))
    if np.unique(codes, return_counts=True)[1].min() < FEWEST:
        return probe
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return GridSearchCV(probe, {"logisticregression__C": COSTS}, cv=folds)


def _scaler() -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


def _complete(*steps: Any) -> Any:
    """Steps behind one that puts the training rows' mean where a value is missing."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(keep_empty_features=True), *steps)


def most_frequent(codes: np.ndarray, draw: Draw) -> Said:
    """The class that most rows have, for every row: what accuracy is to be judged by."""
    return Said(np.full(len(draw[1]), np.bincount(codes).argmax()))


def mean_of_training(numbers: np.ndarray, draw: Draw) -> Said:
    """The mean of the training labels, for every row."""
    return Said(np.repeat(numbers[draw[0]].mean(axis=0, keepdims=True), len(draw[1]), axis=0))
