"""What the figures are drawn of for contract checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcore.testing import FigureExample


def latent_maps(folder: Path) -> list[FigureExample]:
    """Maps over a scan, more latents than are shown, and items of no scan."""
    latent = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    return [
        FigureExample(label="scan", config={"maximum": 3}),
        FigureExample(label="no scan", arrays={"latent": latent}, scan_shape=None),
    ]


def reconstruction(folder: Path) -> list[FigureExample]:
    """Images, of some of which the truth is known, and spectra."""
    generator = np.random.default_rng(0)
    rate = np.exp(generator.normal(size=(9, 1, 12, 14)))
    counts = generator.poisson(rate).astype(np.float32)
    expected = rate.copy()
    expected[[1, 4]] = np.nan
    images = {"target": counts, "prediction": (0.9 * rate).astype(np.float32)}
    spectra = {name: values.reshape(9, -1) for name, values in images.items()}
    return [
        FigureExample(label="known truth", arrays={**images, "expected": expected, "index": np.arange(9)}),
        FigureExample(label="spectra", arrays=spectra),
    ]


def projection(folder: Path) -> list[FigureExample]:
    """Latents of one encoder and of two, with classes and with a number for each item."""
    generator = np.random.default_rng(0)
    latent = generator.normal(size=(30, 5)).astype(np.float32)
    both = {"latent": latent, "other": latent + 0.5}
    return [
        FigureExample(label="one", arrays={"latent": latent}),
        FigureExample(label="classes", arrays={**both, "label": np.arange(30) % 3 - 1}),
        FigureExample(label="numbers", arrays={**both, "label": np.linspace(0, 1, 30, dtype=np.float32)}),
    ]


def imputation(folder: Path) -> list[FigureExample]:
    """A table of which some values were not measured."""
    generator = np.random.default_rng(0)
    target = generator.normal(size=(30, 8)).astype(np.float32)
    prediction = (target + generator.normal(size=target.shape)).astype(np.float32)
    known = generator.random(target.shape) < 0.8
    return [
        FigureExample(label="whole", arrays={"prediction": prediction, "target": target}),
        FigureExample(label="gaps", arrays={"prediction": prediction, "target": target, "mask": known}),
    ]
