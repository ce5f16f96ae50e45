"""Images as they are drawn."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing

from stemcore import UserError

SMALL, MEDIUM, LARGE = 9, 10, 12
GREY = 0.5
# Okabe and Ito's colours, told apart with every kind of colour vision; class 0, as a rule a background, is grey.
COLOURS = ("#7F7F7F", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#F0E442")


def canvas(width: float, height: float, title: str) -> Drawing:
    """An empty drawing of this size in inches, which belongs to no window and no global state."""
    drawing = Drawing(figsize=(width, height), dpi=110, layout="constrained")
    drawing.suptitle(title, fontsize=LARGE)
    return drawing


def checked(images: np.ndarray, items: int) -> np.ndarray:
    """The first images (n, c, h, w) in float64; what is not finite is NaN.

    Raises:
        UserError: if there is nothing to draw, or it is no image.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise UserError(f"the figure draws images (n, c, h, w), not {images.shape}")
    if not len(images):
        raise UserError("there is no image to draw")
    shown = images[:items].astype(float)
    return np.where(np.isfinite(shown), shown, np.nan)


def limits(target: np.ndarray) -> tuple[float, float]:
    """Black and white of images: the least and the largest value of all of them."""
    found = target[np.isfinite(target)]
    if not found.size or found.min() == found.max():
        return 0.0, 1.0
    return float(found.min()), float(found.max())


def pictures(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Images (n, c, h, w) as colours (n, h, w, 3) from 0 to 1: red, green and blue of three channels or more, the only
    one, or the first of two, as grey. What cannot be drawn is grey."""
    chosen = images[:, :3] if images.shape[1] >= 3 else images[:, :1].repeat(3, 1)
    scaled = np.clip((chosen - low) / (high - low), 0, 1)
    return np.moveaxis(np.nan_to_num(scaled, nan=GREY), 1, -1)


def axes_of(drawing: Drawing, rows: int, columns: int) -> np.ndarray:
    """Axes (rows, columns) without ticks."""
    grid = drawing.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
    return grid


def height_of(images: np.ndarray, width: float) -> float:
    """How tall a picture of images (n, c, h, w) of this width in inches is."""
    return float(np.clip(width * images.shape[-2] / images.shape[-1], 0.6, 6.0))


def titled(axes: np.ndarray, titles: list[str]) -> None:
    """Writes what each column shows above it."""
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=MEDIUM)


def laid_over(picture: np.ndarray, labels: np.ndarray, opacity: float) -> np.ndarray:
    """A picture (h, w, 3) with the colour of each label (h, w) over it, but where that is 0 or negative."""
    colours = np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in range(max(1, labels.max(initial=0) + 1))])
    mixed = (1 - opacity) * picture + opacity * colours[np.maximum(labels, 0)]
    shown: np.ndarray = np.where(labels[..., None] > 0, mixed, picture)
    return shown
