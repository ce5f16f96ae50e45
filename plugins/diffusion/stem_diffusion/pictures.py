"""Items as pictures: PNG files and grids of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemcore import FieldSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 64
"""Items of a grid."""
ACROSS = 12
"""Items beside what they were told."""
LEGIBLE = 128
"""Pixels that are enough of a picture to see what is in it."""

OKABE_ITO = ("000000", "ffffff", "e69f00", "56b4e9", "009e73", "f0e442")
COLOURS = np.array([[int(code[k : k + 2], 16) for k in (0, 2, 4)] for code in OKABE_ITO], np.uint8)
"""Of classes of pixels, those after the second told apart by the colour-blind, too (Okabe & Ito 2008)."""
NO_CLASS = np.array([128, 128, 128], np.uint8)


def pixel_range(field: FieldSpec, images: np.ndarray) -> tuple[float, float]:
    """The physical values that are black and white: the ends of the stored type where that is of 8 bits, else the 0.5th
    and the 99.5th percentile of images (n, C, H, W)."""
    if np.dtype(field.dtype) == np.uint8:
        return field.offset, 255 * field.scale + field.offset
    low, high = np.percentile(images, [0.5, 99.5])
    return float(low), float(high) if high > low else float(low) + 1.0


def as_pixels(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Images (n, C, H, W) as grey levels or colours 0 to 255, (n, H, W) or (n, H, W, 3): the first channel of one or
    two, the first three of more."""
    scaled = np.clip((images.astype(np.float64) - low) / (high - low), 0, 1)
    pixels = np.round(255 * scaled).astype(np.uint8)
    return pixels[:, 0] if pixels.shape[1] < 3 else np.moveaxis(pixels[:, :3], 1, -1)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """A picture (H, W) or (H, W, 3)."""
    from PIL import Image

    Image.fromarray(pixels).save(path)


def grid(pixels: np.ndarray) -> np.ndarray:
    """Up to 64 pictures (n, H, W) or (n, H, W, 3), row by row, on white."""
    some = pixels[:MOST]
    columns = math.ceil(math.sqrt(len(some)))
    rows = math.ceil(len(some) / columns)
    height, width = some.shape[1:3]
    whole = np.full((rows * (height + 2) + 2, columns * (width + 2) + 2, *some.shape[3:]), 255, np.uint8)
    for k, picture in enumerate(some):
        y, x = (k // columns) * (height + 2) + 2, (k % columns) * (width + 2) + 2
        whole[y : y + height, x : x + width] = picture
    return whole


def class_pixels(maps: np.ndarray) -> np.ndarray:
    """Classes (n, H, W) as colours (n, H, W, 3): black and white for the first two, grey for none."""
    colours: np.ndarray = COLOURS[np.where(maps < 2, maps, 2 + (maps - 2) % (len(COLOURS) - 2))]
    return np.where((maps < 0)[..., None], NO_CLASS, colours)


def told_rows(conditions: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The conditions that are images or classes of pixels, as pictures (n, H, W) or (n, H, W, 3).

    Args:
        conditions: by name, each (n, *shape); images are from -1 to 1.
    """
    rows = []
    if "condition" in conditions:
        rows.append(as_pixels(conditions["condition"], -1.0, 1.0))
    if "label_map" in conditions:
        rows.append(class_pixels(conditions["label_map"][:, 0]))
    return rows


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of pictures, each (n, H, W) or (n, H, W, 3), one below the other, on white; all in the size of the last, and
    small ones enlarged by a whole number."""
    n, height, width = rows[-1].shape[:3]
    whole = np.full((len(rows) * (height + 2) + 2, n * (width + 2) + 2, 3), 255, np.uint8)
    for r, pictures in enumerate(rows):
        y, x = (np.arange(want) * have // want for want, have in zip((height, width), pictures.shape[1:3], strict=True))
        sized = pictures[:, y][:, :, x]
        for k, picture in enumerate(sized):
            top, left = r * (height + 2) + 2, k * (width + 2) + 2
            whole[top : top + height, left : left + width] = picture if picture.ndim == 3 else picture[..., None]
    larger = max(1, LEGIBLE // height)
    return whole.repeat(larger, axis=0).repeat(larger, axis=1)


def beside(
    told: Sequence[np.ndarray], images: np.ndarray, seen: Sequence[np.ndarray], field: FieldSpec, title: str
) -> Figure:
    """Images (n, C, H, W) between rows of pictures that they were told and rows that are seen in them, up to 12."""
    from matplotlib.figure import Figure

    rows = [*told, as_pixels(images, *pixel_range(field, images)), *seen]
    whole = stacked([row[:ACROSS] for row in rows])
    height, width = whole.shape[:2]
    figure = Figure(figsize=(9, 0.5 + 9 * height / width), layout="constrained")
    axes = figure.subplots()
    axes.imshow(whole, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title)
    return figure


def drawing(items: np.ndarray, field: FieldSpec, title: str = "") -> Figure:
    """A grid of images (n, C, H, W); of vectors (n, D) the first two values as points, or the first one's histogram."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    if items.ndim == 4:
        axes.imshow(grid(as_pixels(items[:MOST], *pixel_range(field, items))), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
    else:
        _draw_vectors(axes, items, field.features or tuple(f"value {k}" for k in range(items.shape[1])), field.unit)
    axes.set_title(title)
    return figure


def _draw_vectors(axes: object, items: np.ndarray, names: Sequence[str], unit: str | None) -> None:
    labels = [f"{name} ({unit})" if unit else name for name in names]
    if items.shape[1] > 1:
        axes.scatter(items[:, 0], items[:, 1], s=4)  # type: ignore[attr-defined]
        axes.set(xlabel=labels[0], ylabel=labels[1])  # type: ignore[attr-defined]
    else:
        axes.hist(items[:, 0], bins=50)  # type: ignore[attr-defined]
        axes.set(xlabel=labels[0], ylabel="items")  # type: ignore[attr-defined]
