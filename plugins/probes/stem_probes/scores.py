"""Scores of predicted labels, by draw and over draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stem_probes.probing import Said

Scores = dict[str, Any]


def of_classes(true: np.ndarray, said: Said, names: Sequence[str]) -> Scores:
    """Accuracy, balanced accuracy (mean recall of the classes that there are), macro F1, AUROC of two classes, and
    precision, recall and F1 of each class.

    Args:
        true: (t,) codes.
        said: predicted codes.
        names: of the classes.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score

    everyone = np.arange(len(names))
    of_class = precision_recall_fscore_support(true, said.predicted, labels=everyone, zero_division=0)
    there = of_class[3] > 0
    scores: Scores = {
        "accuracy": float(accuracy_score(true, said.predicted)),
        "balanced_accuracy": float(of_class[1][there].mean()),
        "macro_f1": float(of_class[2][there].mean()),
    }
    if len(names) == 2 and said.score is not None and there.all():
        scores["auroc"] = float(roc_auc_score(true, said.score))
    named = zip(("precision", "recall", "f1"), of_class[:3], strict=True)
    by_score = {score: np.where(there, values, np.nan).tolist() for score, values in named}
    scores["classes"] = {name: {s: values[k] for s, values in by_score.items()} for k, name in enumerate(names)}
    return scores


def of_numbers(true: np.ndarray, said: Said, names: Sequence[str]) -> Scores:
    """R2 (mean over the numbers of a row) and root mean square error, and both of each number.

    Args:
        true: (t, k).
        said: predicted numbers.
        names: of the numbers.
    """
    from sklearn.metrics import r2_score

    r2 = np.atleast_1d(r2_score(true, said.predicted, multioutput="raw_values"))
    rmse = np.sqrt(np.mean((true - said.predicted) ** 2, axis=0))
    scores: Scores = {"r2": float(r2.mean()), "rmse": float(np.sqrt(np.mean(rmse**2)))}
    scores["targets"] = {n: {"r2": float(r2[k]), "rmse": float(rmse[k])} for k, n in enumerate(names)}
    return scores


def over_draws(scores: Sequence[Scores]) -> Scores:
    """Mean and standard deviation (n - 1; null of one draw) of every score, ``{"mean": ..., "std": ...}``."""
    first = scores[0]
    if isinstance(first, Mapping):
        return {key: over_draws([one[key] for one in scores if key in one]) for key in first}
    values = np.array([v for v in scores if np.isfinite(v)], dtype=float)
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()) if len(values) else None, "std": std}


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): rows are true, columns predicted."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts
