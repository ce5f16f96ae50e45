"""Cubes to check losses and metrics by, and their values by NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stemcore.testing import LossExample, MetricExample

ITEMS, BANDS, HEIGHT, WIDTH = 6, 7, 8, 6
Arrays = dict[str, np.ndarray]
Scores = Callable[[str, Arrays], dict[str, float]]


def mse_masked(folder: Path) -> list[LossExample]:
    """Hidden patches, with bad values among them; nothing hidden at all."""
    cubes = mixed_cubes()
    same = {"prediction": cubes["target"]}
    nothing = {"nothing hidden": {"hidden": np.zeros_like(cubes["hidden"])}}
    bare = {name: cubes[name] for name in ("prediction", "target", "hidden")}
    given: dict[str, Any] = {"zero": same, "edges": nothing, "reference": squared_error}
    return [
        LossExample(label="bad values", tensors=cubes, **given),
        LossExample(label="as many hidden everywhere", tensors=bare, mean=True, **given),
    ]


def sam(folder: Path) -> list[LossExample]:
    """Whole spectra and hidden parts of them; pixels without any light, and bad bands."""
    cubes = mixed_cubes()
    dark = {"no light": {"target": _dark(cubes["target"])}, "nothing predicted": {"prediction": 0 * cubes["target"]}}
    return [
        LossExample(
            label=where,
            config={"where": where},
            tensors=cubes,
            edges=dark,
            reference=lambda where=where, **fields: float(np.radians(angles(where, 1e-7, **fields)).mean()),
        )
        for where in ("all", "hidden")
    ]


def spectral_variance(folder: Path) -> list[LossExample]:
    """Predictions that vary less than their target, and one band that is constant."""
    cubes = {name: mixed_cubes()[name] for name in ("prediction", "target", "mask")}
    flat = {"a constant band": {"prediction": cubes["prediction"] * (np.arange(BANDS) != 2)[:, None, None]}}

    def lacking(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
        pairs = [
            np.std(t[m]) - np.std(p[m])
            for p, t, m in zip(*(x.reshape(-1, HEIGHT * WIDTH) for x in (prediction, target, mask)), strict=True)
        ]
        return float(np.mean(np.maximum(pairs, 0)))

    same = {"prediction": cubes["target"]}
    return [LossExample(tensors=cubes, zero=same, edges=flat, mean=True, reference=lacking)]


def range_penalty(folder: Path) -> list[LossExample]:
    """Values on both sides of either range."""
    cubes = {name: mixed_cubes()[name] for name in ("prediction", "mask")}
    examples = []
    for low, high in ((0.0, 1.0), (-0.25, 0.5)):

        def beyond(prediction: np.ndarray, mask: np.ndarray, low: float = low, high: float = high) -> float:
            return float(np.mean([max(low - x, x - high, 0) for x in prediction[mask]]))

        inside = {"prediction": np.full_like(cubes["prediction"], low + 0.3)}
        config = {"low": low, "high": high}
        examples.append(
            LossExample(label=f"{low} to {high}", config=config, tensors=cubes, zero=inside, reference=beyond)
        )
    return examples


def band_sum(folder: Path) -> list[LossExample]:
    """Groups that fill the bands and groups that do not, whole spectra, and what is hidden of them."""
    cubes = mixed_cubes()
    same = {"prediction": cubes["target"]}
    examples = []
    for size, where in ((3, "all"), (7, "all"), (1, "hidden"), (2, "hidden")):

        def sums(size: int = size, where: str = where, **fields: np.ndarray) -> float:
            valid = fields["mask"] & (fields["hidden"] if where == "hidden" else True)
            wrong = (fields["prediction"] - fields["target"]) * valid
            parts = [wrong[:, k::size].sum(1)[valid[:, k::size].any(1)] for k in range(size)]
            return float((np.concatenate(parts) ** 2).mean())

        config = {"bands_per_group": size, "where": where}
        examples.append(LossExample(label=f"{size}, {where}", config=config, tensors=cubes, zero=same, reference=sums))
    return examples


def sam_metric(folder: Path) -> list[MetricExample]:
    """Whole spectra and hidden parts of them, and pixels that have no spectrum."""
    cubes = mixed_cubes()
    cubes["target"] = _dark(cubes["target"])

    def scores(where: str, fields: Arrays) -> dict[str, float]:
        found = angles(where, **fields)
        return {"": np.nanmean(found), "std": np.nanstd(found), "left_out": np.isnan(found).sum()}

    return _metric(cubes, scores)


def cube_mse(folder: Path) -> list[MetricExample]:
    """All values and hidden ones; two bands by themselves."""
    return _metric(mixed_cubes(), lambda where, fields: _by_band(where, fields, np.mean, np.max, [0, 5]), bands=[0, 5])


def cube_psnr(folder: Path) -> list[MetricExample]:
    """A range that is given, and that of the true values."""

    def scores(extent: float | None, bands: Sequence[int] = ()) -> Scores:
        def of_fields(where: str, fields: Arrays) -> dict[str, float]:
            reach = np.ptp(fields["target"][_valid(where, fields)]) if extent is None else extent
            return _by_band(where, fields, lambda e: 10 * np.log10(reach**2 / np.mean(e)), np.min, bands)

        return of_fields

    given = _metric(mixed_cubes(), scores(0.8), data_range=0.8)
    return given + _metric(mixed_cubes(), scores(None, [3]), data_range="target", bands=[3])


def cube_ssim(folder: Path) -> list[MetricExample]:
    """A range that is given, and that of each cube; windows beside bad values and beside what was shown."""

    def scores(extent: float | None) -> Scores:
        def of_fields(where: str, fields: Arrays) -> dict[str, float]:
            valid = _valid(where, fields)
            maps = np.full(valid.shape, np.nan)
            for i in range(ITEMS):
                x, y = fields["prediction"][i], fields["target"][i]
                reach = np.ptp(y[valid[i]]) if extent is None else extent
                x = np.where(valid[i], x, y)
                for k in range(BANDS):
                    maps[i, k] = similarity(x[k] / reach, y[k] / reach, fields["mask"][i, k])
            every = [maps[:, k][valid[:, k]] for k in range(BANDS)]
            means = [m.mean() for m in every]
            pooled = np.concatenate(every).mean()
            return {"": pooled, "band_median": np.median(means), "band_worst": min(means), "band_1": means[1]}

        return of_fields

    given = _metric(mixed_cubes(), scores(1.0), bands=[1])
    return given + _metric(mixed_cubes(), scores(None), data_range="target", bands=[1])


def squared_error(
    prediction: np.ndarray, target: np.ndarray, hidden: np.ndarray, mask: np.ndarray | None = None
) -> float:
    """Mean squared error of what is hidden and not bad."""
    valid = hidden if mask is None else hidden & mask
    return float(np.mean((prediction[valid] - target[valid]) ** 2))


def angles(where: str, margin: float = 0.0, **fields: np.ndarray) -> np.ndarray:
    """The angle in degrees of each pixel that counts, its cosine at least ``margin`` from 1; NaN where its target has
    none."""
    valid = np.moveaxis(_valid(where, fields), 1, -1).reshape(-1, BANDS)
    rows = (np.moveaxis(fields[name], 1, -1).reshape(-1, BANDS) for name in ("prediction", "target"))
    found = []
    for x, y, m in zip(*rows, valid, strict=True):
        if m.any():
            x, y = x[m], y[m]
            norm = np.sqrt(np.sum(x**2)) * np.sqrt(np.sum(y**2))
            found.append(np.degrees(np.arccos(np.clip(x @ y / norm, margin - 1, 1 - margin))) if norm else np.nan)
    return np.array(found)


def similarity(x: np.ndarray, y: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """SSIM (h, w) of images whose range is 1, under a Gaussian window of 11 x 11 pixels that leaves out what is bad."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    windows = [sliding_window_view(np.pad(a, 5, mode="reflect"), (11, 11)) for a in (x, y, valid)]
    x, y, shares = windows[0], windows[1], windows[2] * np.outer(axis, axis)
    shares = shares / np.maximum(shares.sum((2, 3), keepdims=True), 1e-300)
    mean_x, mean_y = (shares * x).sum((2, 3)), (shares * y).sum((2, 3))
    apart_x, apart_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    spread = (shares * (apart_x**2 + apart_y**2)).sum((2, 3))
    covariance = (shares * apart_x * apart_y).sum((2, 3))
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    found: np.ndarray = luminance * (2 * covariance + 0.03**2) / (spread + 0.03**2)
    return found


def _metric(cubes: Arrays, scores: Scores, **config: Any) -> list[MetricExample]:
    return [
        MetricExample(
            label=f"{where} {config.get('data_range', '')}".strip(),
            config={"where": where, **config},
            tensors=cubes,
            reference=lambda where=where, **fields: scores(where, fields),
        )
        for where in ("all", "hidden")
    ]


def _by_band(
    where: str, fields: Arrays, score: Callable[..., float], worst: Callable[..., float], bands: Sequence[int]
) -> dict[str, float]:
    valid, error = _valid(where, fields), (fields["prediction"] - fields["target"]) ** 2
    every = [score(error[:, k][valid[:, k]]) for k in range(BANDS)]
    found = {"": score(error[valid]), "band_median": float(np.median(every)), "band_worst": worst(every)}
    return found | {f"band_{k}": every[k] for k in bands}


def _valid(where: str, fields: Arrays) -> np.ndarray:
    return fields["mask"] & fields["hidden"] if where == "hidden" else fields["mask"]


def _dark(target: np.ndarray) -> np.ndarray:
    """The target with pixels that are zero in every band."""
    dark = target.copy()
    dark[:, :, 2, 1:4] = 0
    return dark


def mixed_cubes() -> Arrays:
    """Reflectances of mixed materials, some above 1, with smooth predictions, patches that were hidden (as many in
    each item) and bad values (another number in each)."""
    rng = np.random.default_rng(0)
    y, x = np.indices((HEIGHT, WIDTH))
    spectra = 0.5 + 0.4 * np.sin(np.arange(BANDS)[:, None] * (0.4 + 0.5 * np.arange(3)) + np.arange(3))
    phases = rng.uniform(0, 6, (ITEMS, 3))
    shares = 0.6 + 0.5 * np.sin(phases[:, :, None, None] + 0.6 * y + np.arange(3)[:, None, None] * 0.5 * x)
    target = np.einsum("bk,nkhw->nbhw", spectra, shares)
    prediction = 0.8 * target - 0.03 + 0.15 * rng.normal(size=target.shape)
    hidden = np.zeros(target.shape, dtype=bool)
    for i, bands in ((i, bands) for i in range(ITEMS) for bands in (slice(0, 4), slice(4, BANDS))):
        for row, column in (np.unravel_index(patch, (2, 3)) for patch in rng.permutation(6)[:4]):
            hidden[i, bands, 4 * row : 4 * row + 4, 2 * column : 2 * column + 2] = True
    mask = rng.random(target.shape) < 0.85
    mask[:, :, 7, 5] = False
    mask[1] = True
    return {
        "target": target.astype(np.float32),
        "prediction": prediction.astype(np.float32),
        "hidden": hidden,
        "mask": mask,
    }
