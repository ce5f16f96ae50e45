"""Examples for contract checks: every mode of the transforms and augmentations, on patterns, spectra and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import AugmentationExample, TransformExample

PATTERN = FieldSpec("input", (1, 20, 16), "uint16", "counts", minimum=0.0)
COLOURS = FieldSpec("input", (3, 16, 24), "uint8", scale=1 / 255)
SPECTRUM = FieldSpec("input", (1, 64), "uint16", "counts", minimum=0.0)
TABLE = FieldSpec("input", (20,), features=tuple(f"gene {k}" for k in range(20)), finite=False)


def counts(spec: FieldSpec, items: int = 8) -> np.ndarray:
    """Poisson counts (items, *shape), few, with a peak in another place in each item."""
    places = np.indices(spec.shape)
    rates = [_peak(places, spec.shape, 0.7 * k) for k in range(items)]
    return np.random.default_rng(1).poisson(rates).astype(spec.dtype)


def _peak(places: np.ndarray, shape: tuple[int | None, ...], phase: float) -> np.ndarray:
    middles = ((n or 1) * (0.5 + 0.15 * np.sin(phase + k)) for k, n in enumerate(shape))
    apart = sum(((x - m) / 3) ** 2 for x, m in zip(places[1:], list(middles)[1:], strict=True))
    return np.asarray(0.3 + 12 * np.exp(-apart / 2))


def values(folder: Path) -> list[TransformExample]:
    """For transforms that take any values."""
    return [*_on_patterns([{}]), *_on_others({})]


def sqrt(folder: Path) -> list[TransformExample]:
    """The unbiased inverse is one of means, not of single counts."""
    unbiased: Mapping[str, Any] = {"inverse": "unbiased"}
    return [
        *_on_patterns([{}, {"offset": 0.0}]),
        TransformExample(label="unbiased", config=unbiased, spec=PATTERN, batch=counts(PATTERN), tolerance=None),
        *_on_others({}),
    ]


def impute(folder: Path) -> list[TransformExample]:
    """Every method, on tables; the others by default."""
    methods = ("mean", "median", "knn", "zero")
    tables = [TransformExample(label=m, config={"method": m}, spec=TABLE) for m in methods]
    return [*tables, *_on_patterns([{}]), _colours({"method": "knn", "neighbors": 2})]


def log(folder: Path) -> list[TransformExample]:
    """Counts with zeros among them, and tables, one shift for all and one for each feature."""
    return [*_on_patterns([{}, {"base": "10", "eps": 0.5}]), *_on_others({"by": "feature", "eps": 1e-3, "base": "2"})]


def standardize(folder: Path) -> list[TransformExample]:
    """About one mean, about the mean of each pixel, and each feature by itself."""
    configs: list[dict[str, Any]] = [{}, {"mean": "pattern"}, {"by": "feature"}]
    return [*_on_patterns(configs), *(example for c in configs for example in _on_others(c))]


def minmax(folder: Path) -> list[TransformExample]:
    """One range, and that of each feature."""
    return [*values(folder), *_on_patterns([{"by": "feature"}]), *_on_others({"by": "feature"})]


def features(folder: Path) -> list[TransformExample]:
    """For what has numbers of its own for each feature."""
    return _on_others({})


def crop(folder: Path) -> list[TransformExample]:
    """In the middle, and anywhere."""
    return [*_on_patterns([{"size": 8}, {"size": [6, 9], "offset": [1, 4]}]), _colours({"size": 8})]


def bin(folder: Path) -> list[TransformExample]:
    """Whole blocks, and such that leave a rest."""
    return [*_on_patterns([{}, {"factor": [3, 5], "crop_remainder": True}]), _colours({"factor": 4})]


def resize(folder: Path) -> list[TransformExample]:
    """Smaller, larger, and with the sum kept."""
    smaller, larger = {"size": 12}, {"size": [32, 40]}
    return [*_on_patterns([smaller, larger, {"size": [7, 13], "preserve_sum": True}]), _colours(smaller)]


def center(folder: Path) -> list[TransformExample]:
    """By the pattern, by the scan and by a shift, in whole pixels and between them."""
    configs: list[dict[str, Any]] = [
        {},
        {"radius": 5.0},
        {"integer": False},
        {"per": "scan"},
        {"per": "scan", "integer": False},
        {"shift": [2.0, -3.0]},
        {"shift": [0.5, -1.25], "integer": False},
    ]
    return [*_on_patterns(configs), _colours({})]


def geometric(folder: Path) -> list[AugmentationExample]:
    """Square and other patterns with masks and labels of their pixels."""
    colours = [COLOURS, FieldSpec("grains", (16, 24), "uint8", like="input"), FieldSpec("label", (), "int64")]
    return [
        AugmentationExample(),
        AugmentationExample(label="colours", spec=_spec(*colours)),
        AugmentationExample(label="input alone", config={"fields": ["input"]}),
    ]


def poisson(folder: Path) -> list[AugmentationExample]:
    """Each mode, on counts; new noise on any values."""
    configs: list[dict[str, Any]] = [
        {},
        {"fraction": [0.2, 0.8], "rescale": False},
        {"fields": ["input", "target"]},
        {"mode": "split"},
        {"mode": "split", "fraction": 0.7, "rescale": False},
    ]
    return [*_on_counts(configs), AugmentationExample(label="renoise", config={"mode": "renoise", "scale": 4.0})]


def noise(folder: Path) -> list[AugmentationExample]:
    """Clipped and not, and in the model's space."""
    configs: list[dict[str, Any]] = [{"std": 0.5}, {"std": 0.5, "clip": False}, {"std": 0.4, "space": "model"}]
    return [*_on_counts(configs), AugmentationExample(config={"std": 2.0})]


def _on_patterns(configs: list[dict[str, Any]]) -> list[TransformExample]:
    return [TransformExample(label=f"{c}", config=c, spec=PATTERN, batch=counts(PATTERN)) for c in configs]


def _on_others(config: dict[str, Any]) -> list[TransformExample]:
    return [
        _colours(config),
        TransformExample(label="spectra", config=config, spec=SPECTRUM, batch=counts(SPECTRUM)),
        TransformExample(label="tables", config=config, spec=TABLE),
    ]


def _colours(config: dict[str, Any]) -> TransformExample:
    return TransformExample(label="colours", config=config, spec=COLOURS)


def _on_counts(configs: list[dict[str, Any]]) -> list[AugmentationExample]:
    spec, tensors = _spec(PATTERN), {"input": counts(PATTERN)}
    return [AugmentationExample(label=f"{c}", config=c, spec=spec, tensors=tensors) for c in configs]


def _spec(*fields: FieldSpec) -> DataSpec:
    return DataSpec({field.name: field for field in fields})
