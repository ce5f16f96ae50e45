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
