"""What the contract checks need to know: spectra, where images would not do, and formulas by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import DatasetExample, FigureExample, LossExample, MetricExample, ModelExample

ITEMS, CHANNELS = 8, 300
AXIS = 5.0 + 0.02 * np.arange(CHANNELS)


def spectrum_image(folder: Path) -> list[DatasetExample]:
    """The sample, a contiguous part of an axis, and files that are no spectrum images."""
    path = folder / "scan.hspy"
    with h5py.File(path, "w") as file:
        for name, shape in (("scan", (3, 5, 40)), ("line", (7, 40)), ("image", (6, 6))):
            group = file.create_group(f"Experiments/{name}")
            group["data"] = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
            for n, size in enumerate(shape):
                axis = {"offset": 1.0, "scale": 0.5, "size": size, "navigate": n < len(shape) - 1, "units": "keV"}
                group.create_group(f"axis-{n}").attrs.update(axis)
        file["Experiments/image/axis-0"].attrs["navigate"] = False
    config = {"path": str(path), "signal": "scan"}
    broken = {
        "several signals": {"path": str(path)},
        "no such signal": {**config, "signal": "scam"},
        "an image": {**config, "signal": "image"},
        "energies that are not there": {**config, "energy_range": [100.0, 200.0]},
    }
    return [
        DatasetExample(label="sample"),
        DatasetExample(label="part of the axis", config={**config, "energy_range": [3.0, 9.9]}, broken=broken),
        DatasetExample(label="line scan", config={**config, "signal": "line"}),
    ]


def spectrum_autoencoder(folder: Path) -> ModelExample:
    """Spectra of two lengths and of an odd one."""
    specs = [DataSpec({"input": FieldSpec("input", (1, n), minimum=0.0)}) for n in (64, 96)]
    odd = DataSpec({"input": FieldSpec("input", (1, 83), minimum=0.0)})
    return ModelExample(config={"widths": [4, 8, 8]}, specs=specs, odd=odd)


def beyond_resolution(folder: Path) -> LossExample:
    """Fourth differences by their binomial weights; none in a cubic."""

    def reference(prediction: np.ndarray, energy: np.ndarray) -> float:
        weights = np.array([1, -4, 6, -4, 1])
        total = []
        for spectrum, axis in zip(prediction[:, 0], energy, strict=True):
            for k in range(2, len(axis) - 2):
                square = 0.130**2 + 5.545 * 3.65e-3 * 0.115 * (axis[k] - 5.895)
                sigma = np.sqrt(square / (8 * np.log(2))) / 0.02
                total.append(np.hypot(weights @ spectrum[k - 2 : k + 3] * sigma**4, 0.01) - 0.01)
        return float(np.mean(total))

    x = np.linspace(-1, 1, CHANNELS)
    cubic = np.stack([(3 + n * x - x**3)[None] for n in range(ITEMS)])
    return LossExample(tensors=_spectra(), reference=reference, zero={"prediction": cubic}, mean=True)


def line_counts(folder: Path) -> MetricExample:
    """Windows and flanks by loops over the channels."""

    def net(spectrum: np.ndarray, line: float) -> float:
        sigma = np.sqrt((0.130**2 + 5.545 * 3.65e-3 * 0.115 * (line - 5.895)) / (8 * np.log(2)))
        away = np.abs(AXIS - line) / sigma
        peak, flanks = away <= 2, (away > 3) & (away <= 5)
        return float(spectrum[peak].sum() - peak.sum() * spectrum[flanks].mean())

    def reference(prediction: np.ndarray, target: np.ndarray, energy: np.ndarray) -> Mapping[str, float]:
        errors = {}
        for name, line in (("Fe_Ka", 6.404), ("Pt_La", 9.442)):
            found, true = (np.array([net(s[0], line) for s in spectra]) for spectra in (prediction, target))
            errors[name] = float(np.sqrt(np.mean((found - true) ** 2) / np.mean(true**2)))
        return {"": float(np.mean(list(errors.values()))), **errors}

    return MetricExample(tensors={**_spectra(), "target": _lines(0.3)}, reference=reference)


def line_maps(folder: Path) -> FigureExample:
    """A scan of two rows."""
    arrays = {**_spectra(), "target": np.random.default_rng(0).poisson(_lines(0.3)), "expected": _lines(0.3)}
    return FigureExample(arrays=arrays, scan_shape=(2, ITEMS // 2))


def _spectra() -> dict[str, np.ndarray]:
    energy = np.tile(AXIS, (ITEMS, 1)).astype(np.float32)
    return {"prediction": _lines(0.0), "energy": energy}


def _lines(shift: float) -> np.ndarray:
    """Spectra (items, 1, channels) with an iron and a platinum line, as strong as the item's number says."""
    made = []
    for n in range(ITEMS):
        iron = (1 + np.cos(n + shift)) * np.exp(-((AXIS - 6.404) ** 2) / (2 * 0.056**2))
        platinum = (1 + np.sin(1.7 * n)) * np.exp(-((AXIS - 9.442) ** 2) / (2 * 0.066**2))
        made.append(20 * (iron + (1 + shift) * platinum) + 5 - 0.3 * AXIS)
    return np.stack(made)[:, None].astype(np.float32)
