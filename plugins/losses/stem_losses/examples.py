"""Patterns to check the data terms by, and their values by NumPy in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stemcore.testing import LossExample

ITEMS = 6
PixelError = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mse(folder: Path) -> list[LossExample]:
    """Images with a mask, spectra without one, and a table with missing cells."""
    return _pixelwise(lambda p, t: (p - t) ** 2)


def l1(folder: Path) -> list[LossExample]:
    """Images with a mask, spectra without one, and a table with missing cells."""
    return _pixelwise(lambda p, t: np.abs(p - t))


def huber(folder: Path) -> list[LossExample]:
    """Both sides of the change from quadratic to linear."""

    def error(p: np.ndarray, t: np.ndarray) -> np.ndarray:
        size = np.abs(p - t)
        return np.where(size <= 0.4, size**2 / 2, 0.4 * (size - 0.2))

    return _pixelwise(error, delta=0.4)


def ssim(folder: Path) -> list[LossExample]:
    """Each pattern's own range, and a given one; a pattern without contrast among others."""
    images = _images()
    images["target"][2] = 3.0
    same = {"prediction": images["target"], "target": images["target"]}
    given = {
        "tensors": images,
        "zero": same,
        "mean": True,
        "edges": {"a dim prediction": {"prediction": 0 * same["target"]}},
    }
    return [
        LossExample(label="own range", reference=lambda **fields: dissimilarity(None, **fields), **given),
        LossExample(
            label="given range",
            config={"data_range": 20.0},
            reference=lambda **fields: dissimilarity(20.0, **fields),
            **given,
        ),
    ]


def poisson_nll(folder: Path) -> list[LossExample]:
    """Rates above and below the smallest, with and without the constant."""
    images = _images()
    images["prediction"] = images["prediction"] - 0.5  # Some are below zero.
    wrong = {"nothing predicted": {"prediction": 0 * images["target"]}}
    wrong["a negative prediction"] = {"prediction": -100 * images["target"]}
    return [
        LossExample(
            label=f"full: {full}",
            config={"full": full, "eps": 0.25},
            tensors=images,
            mean=True,
            edges=wrong,
            reference=_mean_of(lambda p, t, full=full: likelihood(p, t, 0.25, full)),
        )
        for full in (False, True)
    ]


def likelihood(rate: np.ndarray, counts: np.ndarray, eps: float, full: bool) -> np.ndarray:
    """Negative log-likelihood of counts, of a normal law below ``eps``."""
    at = np.where(rate < eps, eps, rate)
    poisson = at - counts * np.log(at)
    normal = np.where(rate < eps, ((rate - counts) ** 2 - (eps - counts) ** 2) / (2 * eps), 0)
    factorial = np.array([math.lgamma(n + 1) for n in counts]) if full else 0.0
    return poisson + normal + factorial


def dissimilarity(extent: float | None, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """1 - SSIM of images (n, 1, h, w) under a Gaussian window of 11 x 11 pixels that leaves out what is not valid."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    found = []
    for x, y, valid in zip(prediction[:, 0], target[:, 0], mask[:, 0], strict=True):
        low, reach = (y[valid].min(), np.ptp(y[valid]) or 1.0) if extent is None else (0.0, extent)
        shares = _windows(valid.astype(float)) * np.outer(axis, axis)
        shares = shares / shares.sum((2, 3), keepdims=True)
        x, y = (_windows((image - low) / reach) for image in (x, y))
        mean_x, mean_y = (shares * x).sum((2, 3), keepdims=True), (shares * y).sum((2, 3), keepdims=True)
        spread = (shares * ((x - mean_x) ** 2 + (y - mean_y) ** 2)).sum((2, 3))
        covariance = (shares * (x - mean_x) * (y - mean_y)).sum((2, 3))
        mean_x, mean_y = mean_x[..., 0, 0], mean_y[..., 0, 0]
        luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        found.append(1 - (luminance * (2 * covariance + 9e-4) / (spread + 9e-4))[valid])
    return float(np.concatenate(found).mean())


def _windows(image: np.ndarray) -> np.ndarray:
    return sliding_window_view(np.pad(image, 5, mode="reflect"), (11, 11))


def _pixelwise(error: PixelError, **config: Any) -> list[LossExample]:
    images, spectra = _images(), {n: x.reshape(ITEMS, -1) for n, x in _images().items() if n != "mask"}
    examples = []
    for label, tensors in {"images": images, "spectra": spectra}.items():
        same = {"prediction": tensors["target"], "target": tensors["target"]}
        reference = _mean_of(error)
        examples.append(
            LossExample(label=label, config=config, tensors=tensors, zero=same, mean=True, reference=reference)
        )
    table = _table()
    same = {"prediction": table["target"]}
    examples.append(LossExample(label="table", config=config, tensors=table, zero=same, reference=_mean_of(error)))
    return examples


def _table() -> dict[str, np.ndarray]:
    """Standardized values (n, features), a regression towards their mean, and which were measured: in each item another
    number of them, so that the mean over cells is not one over items."""
    rng = np.random.default_rng(1)
    target = rng.normal(size=(ITEMS, 9))
    prediction = 0.6 * target + 0.3 * rng.normal(size=target.shape)
    return {"target": target, "prediction": prediction, "mask": rng.random(target.shape) < 0.7}


def _mean_of(error: PixelError) -> Callable[..., float]:
    def reference(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
        valid = np.ones(target.shape, dtype=bool) if mask is None else mask
        return float(error(prediction[valid], target[valid]).mean())

    return reference


def _images() -> dict[str, np.ndarray]:
    """Poisson counts (n, 1, h, w) of a spot that moves, a smooth prediction, and a mask with as many pixels in each
    item, so that the mean over pixels is one over items."""
    y, x = np.indices((14, 12))
    angle = np.arange(ITEMS)[:, None, None]
    rate = 0.4 + 9 * np.exp(-((y - 7 - 4 * np.sin(angle)) ** 2 + (x - 6 - 4 * np.cos(angle)) ** 2) / 6)
    mask = np.ones((ITEMS, 1, 14, 12), dtype=bool)
    mask[..., 6:8, 5:7] = False
    counts = np.random.default_rng(0).poisson(rate)[:, None]
    return {"target": counts.astype(np.float32), "prediction": (0.9 * rate[:, None]).astype(np.float32), "mask": mask}
