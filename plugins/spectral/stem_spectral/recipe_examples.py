"""A scene for the shipped recipes, so that the contract checks need no data."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from stemcore.testing import RecipeExample

BANDS, SIZE = 20, 100


def recipe(folder: Path) -> RecipeExample:
    """One scene, in regions and tiles that leave tiles to train on and to validate on."""
    path = folder / "scene.h5"
    with h5py.File(path, "w") as file:
        file["Cube/Images"] = mixed()
        file["Cube/Wavelengths"] = np.linspace(400.0, 1000.0, BANDS, dtype=np.float32)
    tiles = ["data.train.tile=50", "data.train.regions=[2,2]", "data.val=0.25"]
    return RecipeExample(overrides=[f"data.train.path={path}", *tiles])


def mixed() -> np.ndarray:
    """Reflectance (BANDS, SIZE, SIZE) float32: two spectra, mixed by waves over the scene."""
    band, y, x = np.ogrid[:BANDS, :SIZE, :SIZE]
    share = 0.5 + 0.5 * np.sin(y / 7.0) * np.cos(x / 11.0)
    spectra = 0.2 + 0.1 * np.sin(band / 3.0), 0.1 + 0.03 * band
    return (share * spectra[0] + (1 - share) * spectra[1]).astype(np.float32)
