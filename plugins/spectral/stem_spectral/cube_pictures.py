"""Cubes as colour pictures."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_spectral.colour import GREY, Mixture, displayed, linear, mixture, scale
from stem_spectral.drawn import MEDIUM, SMALL, Cubes, canvas, cubes_of, mean_where
from stemcore import Figure

Triple = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=3, max_length=3)]


class CubePictures(Figure):
    """Cubes in colour, a row for each item: original, what of it the model was shown (the more bands of a pixel are
    hidden, the greyer it is), reconstruction, reconstruction of the hidden part in what was shown, error, and the
    colour photograph that belongs to the cube where the data have one.

    Colours are those that an eye would see of a reflectance in white light, from the CIE 1931 matching functions,
    where ``wavelengths`` cover the visible; else three bands spread evenly are shown as red, green and blue. Black and
    white are those of the original in each row. The error is the root mean square over the bands of a pixel (of the
    hidden ones, where some are), in physical units. Pixels that cannot be drawn are grey.

    Args:
        items: how many held-out items are drawn.
        bands: three bands (from 0) to be shown as red, green and blue.
    """

    source = "sample"
    items = 4

    def __init__(self, *, items: Annotated[int, Field(ge=1)] = 4, bands: Triple | None = None) -> None:
        self.items, self.bands = items, bands  # type: ignore[misc]  # how many are collected is this figure's

    def draw(
        self,
        target: np.ndarray,
        prediction: np.ndarray,
        hidden: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        wavelengths: np.ndarray | None = None,
        rgb: np.ndarray | None = None,
        index: np.ndarray | None = None,
    ) -> Drawing:
        """Draws the pictures.

        Args:
            target, prediction: cubes (n, bands, height, width).
            hidden: true where the model was not shown a value, like the cubes.
            mask: true where a value is good, like the cubes.
            wavelengths: of each band in nm, (n, bands).
            rgb: photographs (n, 3, height, width), 0 to 1.
            index: the number of each item in its data set, (n,).

        Raises:
            UserError: if there is nothing to draw, or the data have no such band.
        """
        cubes = cubes_of(target, prediction, hidden, mask, wavelengths, self.items)
        usable = cubes.good.any((0, 2, 3))
        made = mixture(cubes.target.shape[1], cubes.wavelengths, self.bands, usable)
        rows = [pictures(cubes, item, made) for item in range(len(cubes.target))]
        if rgb is not None:
            for row, photograph in zip(rows, rgb, strict=False):
                row["photograph"] = np.clip(np.nan_to_num(np.moveaxis(photograph, 0, -1), nan=GREY), 0, 1)
        numbers = np.arange(len(rows)) if index is None else np.asarray(index).ravel()
        return _drawing(rows, [f"item {n}" for n in numbers], f"Cubes in colour ({made.source})")


def pictures(cubes: Cubes, item: int, made: Mixture) -> dict[str, np.ndarray]:
    """The pictures of an item by what they show: colours (height, width, 3), the error (height, width)."""
    target, prediction, good = cubes.target[item], cubes.prediction[item], cubes.good[item]
    true = linear(np.where(good, target, np.nan), made)
    low, high = scale(true, made.true)
    shown = {"original": displayed(true, low, high)}
    if cubes.hidden is not None:
        share = cubes.hidden[item].mean(0)[..., None]
        shown["masked"] = (1 - share) * shown["original"] + share * GREY
    shown["reconstruction"] = displayed(linear(prediction, made), low, high)
    if cubes.hidden is not None:
        inpainted = np.where(cubes.hidden[item], prediction, np.where(good, target, np.nan))
        shown["inpainted"] = displayed(linear(inpainted, made), low, high)
    shown["error"] = np.sqrt(mean_where((prediction - target) ** 2, cubes.scored[item], (0,)))
    return shown


def _drawing(rows: list[dict[str, np.ndarray]], labels: list[str], title: str) -> Drawing:
    height, width = rows[0]["original"].shape[:2]
    tall = float(np.clip(2.4 * height / width, 0.6, 6.0))
    columns = len(rows[0])
    drawing = canvas(2.5 * columns + 0.8, 0.8 + len(rows) * (tall + 0.15), title)
    grid = drawing.subplots(len(rows), columns, squeeze=False)
    for axes, row, label in zip(grid, rows, labels, strict=False):
        axes[0].set_ylabel(label, fontsize=MEDIUM)
        for ax, (name, picture) in zip(axes, row.items(), strict=True):
            ax.set_xticks([])
            ax.set_yticks([])
            if name == "error":
                _error(drawing, ax, picture)
            else:
                ax.imshow(picture, interpolation="nearest")
    for ax, name in zip(grid[0], rows[0], strict=True):
        ax.set_title(name, fontsize=MEDIUM)
    return drawing


def _error(drawing: Drawing, axes: Axes, error: np.ndarray) -> None:
    found = error[np.isfinite(error)]
    top = float(np.percentile(found, 99.5)) if found.size else 0.0
    axes.set_facecolor(str(GREY))
    image = axes.imshow(error, cmap="magma", vmin=0, vmax=top if top > 0 else 1.0, interpolation="nearest")
    bar = drawing.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.05, 1)))
    bar.ax.tick_params(labelsize=SMALL)
