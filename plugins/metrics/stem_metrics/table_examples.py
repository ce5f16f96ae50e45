"""Tables, patterns and codes to check those metrics by that compare features, and their scores by NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stem_metrics.examples import scored_patterns
from stemcore.testing import MetricExample

ITEMS, FEATURES = 14, 9
Score = Callable[[np.ndarray, np.ndarray], float]


def pearson(folder: Path) -> list[MetricExample]:
    """A table with missing cells, one without, and one far from zero."""

    def correlation(p: np.ndarray, t: np.ndarray) -> float:
        if len(t) < 3 or not np.ptp(t):
            return np.nan
        return float(np.corrcoef(p, t)[0, 1]) if np.ptp(p) else 0.0

    def scores(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> dict[str, float]:
        mask = np.ones(target.shape, dtype=bool) if mask is None else mask
        by_feature = over(correlation, prediction.T, target.T, mask.T)
        by_sample = over(correlation, prediction, target, mask)
        return summary("feature", by_feature) | summary("sample", by_sample)

    table = _table()
    full = {name: table[name] for name in ("prediction", "target")}
    far = {name: values + 1e3 for name, values in full.items()}
    return [
        MetricExample(label="missing cells", tensors=table, reference=scores),
        MetricExample(label="all measured", tensors=full, reference=scores),
        MetricExample(label="far from zero", tensors=far, reference=scores),
    ]


def r2(folder: Path) -> list[MetricExample]:
    """Errors and deviations from the mean of each pixel, of patterns and of a table, together and by feature."""

    def together(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
        mean = np.ma.array(target, mask=~mask).mean(0).filled(0)
        return 1 - np.sum((prediction - target)[mask] ** 2) / np.sum((target - mean)[mask] ** 2)

    def single(p: np.ndarray, t: np.ndarray) -> float:
        return 1 - np.sum((p - t) ** 2) / np.sum((t - t.mean()) ** 2) if len(t) >= 3 and np.ptp(t) else np.nan

    def by_feature(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> dict[str, float]:
        return summary("feature", over(single, prediction.T, target.T, mask.T))

    return [
        MetricExample(label="patterns", tensors=scored_patterns(), reference=together),
        MetricExample(label="table", tensors=_table(), reference=together),
        MetricExample(label="by feature", config={"by": "feature"}, tensors=_table(), reference=by_feature),
    ]


def perplexity(folder: Path) -> list[MetricExample]:
    """A code for each item, one for each part of it, and several places of one codebook."""
    codes = np.random.default_rng(0).geometric(0.3, size=(20, 3)) - 1

    def of_codebook(codes: np.ndarray, size: int) -> tuple[float, float]:
        shares = np.unique(codes, return_counts=True)[1] / codes.size
        return float(np.prod(shares**-shares)), len(shares) / size

    def own(codes: np.ndarray, size: int) -> dict[str, float]:
        perplexities, used = zip(*(of_codebook(head, size) for head in codes.reshape(len(codes), -1).T), strict=True)
        return {"": float(np.mean(perplexities)), "used": float(np.mean(used))}

    def shared(codes: np.ndarray) -> dict[str, float]:
        return dict(zip(("", "used"), of_codebook(codes, int(codes.max()) + 1), strict=True))

    return [
        MetricExample(
            label="one", config={"size": 64}, tensors={"codes": codes[:, 0]}, reference=lambda codes: own(codes, 64)
        ),
        MetricExample(
            label="parts", config={"size": 32}, tensors={"codes": codes}, reference=lambda codes: own(codes, 32)
        ),
        MetricExample(label="places", config={"shared": True}, tensors={"codes": codes[..., None]}, reference=shared),
    ]


def over(score: Score, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A score of the measured values of each row."""
    return np.array([score(p[m], t[m]) for p, t, m in zip(prediction, target, mask, strict=True)])


def summary(of: str, scores: np.ndarray) -> dict[str, float]:
    """Mean and median, and the number left out (score NaN)."""
    found = {"mean": np.nanmean(scores), "median": np.nanmedian(scores), "left_out": np.isnan(scores).sum()}
    return {f"{of}_{name}": float(value) for name, value in found.items()}


def _table() -> dict[str, np.ndarray]:
    """Values (n, features) of different means, their regression, and which were measured: of one feature two alone, and
    of one all equal."""
    rng = np.random.default_rng(0)
    means = 2 * rng.normal(size=FEATURES)
    target = means + rng.normal(size=(ITEMS, FEATURES))
    prediction = 0.6 * target + 0.4 * means + 0.4 * rng.normal(size=target.shape)
    mask = rng.random(target.shape) < 0.8
    mask[2:, 3] = False
    target[:, 5] = 0.7
    return {"prediction": prediction, "target": target, "mask": mask}
