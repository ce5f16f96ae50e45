"""Patterns to check the metrics by, and their scores by NumPy in float64, one pattern after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stemcore.testing import MetricExample

ITEMS, HEIGHT, WIDTH = 10, 22, 20
Score = Callable[[np.ndarray, np.ndarray], float]


def mse(folder: Path) -> list[MetricExample]:
    """Images and spectra."""
    of_items = over_items(lambda p, t: np.mean((p - t) ** 2))
    spectra = {name: values.reshape(ITEMS, -1)[:, :300] for name, values in scored_patterns().items()}
    return [_images(of_items, "images"), MetricExample(label="spectra", tensors=spectra, reference=of_items)]


def center_mse(folder: Path) -> MetricExample:
    """A square smaller than the detector."""
    of_items = over_items(lambda p, t: np.mean((p - t) ** 2))

    def center(**fields: np.ndarray) -> dict[str, float]:
        return of_items(**{name: x[..., 7:15, 6:14] for name, x in fields.items()})

    return _images(center, size=8)


def weighted_mse(folder: Path) -> MetricExample:
    """A pattern without any intensity among others."""

    def error(p: np.ndarray, t: np.ndarray) -> float:
        weights = np.maximum(t, 0)
        return np.sum(weights * (p - t) ** 2) / weights.sum() if weights.any() else np.nan

    return _images(over_items(error, partial=True), blank=0.0)


def expected_error(folder: Path) -> list[MetricExample]:
    """A truth that is known for most patterns."""
    patterns = scored_patterns()
    truth = patterns.pop("target").astype(np.float64)
    truth[[2, 5]] = np.nan
    roots = over_items(lambda p, t: np.mean((np.sqrt(np.maximum(p, 0)) - np.sqrt(t)) ** 2), partial=True)
    linear = over_items(lambda p, t: np.mean((p - t) ** 2), partial=True)
    given = {**patterns, "expected": truth}
    return [
        MetricExample(label=space, config={"space": space}, tensors=given, reference=of_items)
        for space, of_items in {"sqrt": roots, "linear": linear}.items()
    ]


def psnr(folder: Path) -> list[MetricExample]:
    """A pattern without contrast among others, which has no range of its own."""

    def ratio(p: np.ndarray, t: np.ndarray) -> float:
        return min(100.0, 10 * np.log10(np.ptp(t) ** 2 / np.mean((p - t) ** 2))) if np.ptp(t) else np.nan

    def given(**fields: np.ndarray) -> dict[str, float]:
        errors = over_items(lambda p, t: np.mean((p - t) ** 2))(**fields)
        ratios = over_items(lambda p, t: 10 * np.log10(12.0**2 / np.mean((p - t) ** 2)))(**fields)
        return {**ratios, "pooled": 10 * np.log10(12.0**2 / errors[""])}

    own = _images(over_items(ratio, partial=True), "own range", blank=3.0)
    return [own, _images(given, "given range", blank=3.0, data_range=12.0)]


def ssim(folder: Path) -> list[MetricExample]:
    """A pattern without contrast among others, which has no range of its own."""

    def of_items(extent: float | None) -> Callable[..., dict[str, float]]:
        def reference(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> dict[str, float]:
            triples = zip(prediction[:, 0], target[:, 0], mask[:, 0], strict=True)
            return _summary([similarity(*triple, extent) for triple in triples], extent is None)

        return reference

    own = _images(of_items(None), "own range", blank=3.0)
    return [own, _images(of_items(12.0), "given range", blank=3.0, data_range=12.0)]


def poisson_deviance(folder: Path) -> MetricExample:
    """Counts, among them many zeros."""

    def deviance(p: np.ndarray, t: np.ndarray) -> float:
        logs = np.array([n * np.log(n / r) if n > 0 else 0.0 for n, r in zip(t, np.maximum(p, 1e-6), strict=True)])
        return 2 * np.mean(logs - t + np.maximum(p, 1e-6))

    return _images(over_items(deviance))


def split_half(folder: Path) -> list[MetricExample]:
    """Counts, by each score; its coin has no reference."""
    counts = {name: values for name, values in scored_patterns().items() if name != "prediction"}
    configurations = {"deviance": {}, "squared": {"score": "squared"}, "sqrt": {"score": "sqrt", "dose": "half"}}
    return [MetricExample(label=k, config=config, tensors=counts) for k, config in configurations.items()]


def peak_preservation(folder: Path) -> MetricExample:
    """A pattern without any intensity among others."""
    return _images(over_items(lambda p, t: _ratio(p.max(), t.max()), partial=True), blank=0.0)


def range_preservation(folder: Path) -> MetricExample:
    """A pattern without contrast among others."""
    return _images(over_items(lambda p, t: _ratio(np.ptp(p), np.ptp(t)), partial=True), blank=3.0)


def log_correlation(folder: Path) -> MetricExample:
    """A pattern without contrast among others."""

    def correlation(p: np.ndarray, t: np.ndarray) -> float:
        return np.corrcoef(*(np.log1p(np.maximum(x, 0)) for x in (p, t)))[0, 1] if np.ptp(t) else np.nan

    return _images(over_items(correlation, partial=True), blank=3.0)


def over_items(score: Score, partial: bool = False) -> Callable[..., dict[str, float]]:
    """Mean, spread, and number left out (score NaN) of a score of the valid pixels (n,) of each pattern."""

    def reference(prediction: np.ndarray, mask: np.ndarray, **truth: np.ndarray) -> dict[str, float]:
        (target,) = truth.values()
        triples = zip(prediction, target, mask, strict=True)
        return _summary([score(p[m], t[m]) for p, t, m in triples], partial)

    return reference


def similarity(x: np.ndarray, y: np.ndarray, valid: np.ndarray, extent: float | None = None) -> float:
    """SSIM of an image (h, w) under a Gaussian window of 11 x 11 pixels that leaves out what is not valid."""
    extent = np.ptp(y[valid]) if extent is None else extent
    if not extent:
        return np.nan
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    shares = sliding_window_view(np.pad(valid, 5, mode="reflect"), (11, 11)) * np.outer(axis, axis)
    shares = shares / shares.sum((2, 3), keepdims=True)
    x, y = (sliding_window_view(np.pad(a / extent, 5, mode="reflect"), (11, 11)) for a in (x, y))
    mean_x, mean_y = (shares * x).sum((2, 3)), (shares * y).sum((2, 3))
    apart_x, apart_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    variance_x, variance_y = (shares * apart_x**2).sum((2, 3)), (shares * apart_y**2).sum((2, 3))
    covariance = (shares * apart_x * apart_y).sum((2, 3))
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variance_x + variance_y + 0.03**2)
    return float((luminance * structure)[valid].mean())


def _ratio(found: float, true: float) -> float:
    return max(0.0, min(found / true, true / found)) if true > 0 and found else 0.0 if true > 0 else np.nan


def _summary(scores: list[float], partial: bool) -> dict[str, float]:
    left_out = {"left_out": float(np.isnan(scores).sum())} if partial else {}
    return {"": float(np.nanmean(scores)), "std": float(np.nanstd(scores)), **left_out}


def _images(reference: Callable[..., Any], label: str = "", blank: float | None = None, **config: Any) -> MetricExample:
    """The patterns, one of them with the same value everywhere."""
    patterns = scored_patterns()
    if blank is not None:
        patterns["target"][4] = blank
    return MetricExample(label=label, config=config, tensors=patterns, reference=reference)


def scored_patterns() -> dict[str, np.ndarray]:
    """Poisson counts (n, 1, h, w) of a spot that moves, a smooth prediction, and a mask with a beam stop and a dead
    row."""
    y, x = np.indices((HEIGHT, WIDTH))
    angle = 0.5 * np.arange(ITEMS)[:, None, None]
    apart = (y - 11 - 5 * np.sin(angle)) ** 2 + (x - 10 - 5 * np.cos(angle)) ** 2
    rate = (0.3 + 12 * np.exp(-apart / 8))[:, None]
    mask = np.ones(rate.shape, dtype=bool)
    mask[..., 10:13, 9:12] = False
    mask[..., 17, :] = False
    counts = np.random.default_rng(0).poisson(rate)
    return {"target": counts.astype(np.float32), "prediction": (0.9 * rate + 0.1).astype(np.float32), "mask": mask}
