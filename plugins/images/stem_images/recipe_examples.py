"""Images for the shipped recipes, so that the contract checks need no data."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from stemcore.testing import RecipeExample

ITEMS, SIZE = 24, 32


def recipe(folder: Path) -> RecipeExample:
    """A table of small images."""
    masks = "data.train.mask_classes=[background,spot]"
    return RecipeExample(overrides=[f"data.train.path={write_images(folder)}", masks, "data.batch_size=4"])


def write_images(folder: Path) -> Path:
    """Writes spots on a background, dark ones and bright ones, as .npy files with masks and a table of them all, whose
    path it returns."""
    y, x = np.indices((SIZE, SIZE))
    table = [["image_path", "label", "mask_path"]]
    for item in range(ITEMS):
        bright = item % 2
        apart = (y - 16 - 8 * np.sin(item)) ** 2 + (x - 16 - 8 * np.cos(item)) ** 2
        colour = np.array([0.9, 0.5, 0.3]) if bright else np.array([0.1, 0.2, 0.6])
        image = 0.4 + (colour[:, None, None] - 0.4) * np.exp(-apart / (30 + item))
        np.save(folder / f"image_{item}.npy", (255 * image).astype(np.uint8))
        np.save(folder / f"mask_{item}.npy", (apart < 30 + item).astype(np.uint8))
        table.append([f"image_{item}.npy", "bright" if bright else "dark", f"mask_{item}.npy"])
    with (folder / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    return folder / "images.csv"
