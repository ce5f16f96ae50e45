"""Errors along the spectrum, and spectra of single pixels."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_spectral.drawn import FOUND, MEAN, MEDIUM, SMALL, TRUE, Cubes, canvas, cubes_of, mean_where, unit_of
from stemcore import DataSpec, Figure, UserError

Pixel = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class ErrorByWavelength(Figure):
    """Mean squared error of each band, of the model and of what knows no place: the mean spectrum of the same items. Of
    what was hidden where the model says so, else of every value, in squared physical units, over wavelength where
    ``wavelengths`` are known.

    Args:
        items: how many held-out items it is computed from.
    """

    source = "sample"
    items = 16

    def __init__(self, *, items: Annotated[int, Field(ge=1)] = 16) -> None:
        self.items = items  # type: ignore[misc]  # how many are collected is this figure's

    def draw(
        self,
        target: np.ndarray,
        prediction: np.ndarray,
        hidden: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        wavelengths: np.ndarray | None = None,
        spec: DataSpec | None = None,
    ) -> Drawing:
        """Draws both curves.

        Args:
            target, prediction: cubes (n, bands, height, width).
            hidden: true where the model was not shown a value, like the cubes.
            mask: true where a value is good, like the cubes.
            wavelengths: of each band in nm, (n, bands).
            spec: the fields, with the unit of the cubes.

        Raises:
            UserError: if there is nothing to draw.
        """
        cubes = cubes_of(target, prediction, hidden, mask, wavelengths, self.items)
        where, name = cubes.axis
        order = np.argsort(where, kind="stable")
        what = "all values" if cubes.hidden is None else "hidden values"
        number = len(cubes.target)
        drawing = canvas(7.5, 4.2, f"Error of each band, {what} of {number} item{'s' * (number != 1)}")
        axes = drawing.subplots()
        curves = {"model": (cubes.prediction, FOUND), "mean spectrum": (mean_spectrum(cubes), MEAN)}
        for label, (found, colour) in curves.items():
            error = mean_where((found - cubes.target) ** 2, cubes.scored, (0, 2, 3))
            axes.plot(where[order], error[order], ".-", color=colour, label=label, markersize=3, linewidth=1.2)
        if any((line.get_ydata() > 0).any() for line in axes.lines):
            axes.set_yscale("log")
        unit = unit_of(spec)
        _finish(axes, name, "mean squared error" + (f" ({unit}²)" if unit != "value" else ""))
        axes.legend(fontsize=SMALL)
        return drawing


def mean_spectrum(cubes: Cubes) -> np.ndarray:
    """The mean of each band over all good values, (1, bands, 1, 1)."""
    return mean_where(cubes.target, cubes.good, (0, 2, 3))[None, :, None, None]


class Spectra(Figure):
    """Spectra of single pixels: of the input, and what the model makes of them, with the angle between the two. Where
    the model says what was hidden, of pixels with hidden bands, and its output in these bands alone.

    Args:
        items: how many held-out items are drawn, a row for each.
        pixels: row and column of each pixel; without them ``number`` pixels spread evenly.
        number: how many pixels are chosen.
    """

    source = "sample"
    items = 2

    def __init__(
        self,
        *,
        items: Annotated[int, Field(ge=1)] = 2,
        pixels: Annotated[list[Pixel], Field(min_length=1)] | None = None,
        number: Annotated[int, Field(ge=1, le=12)] = 4,
    ) -> None:
        self.items, self.pixels, self.number = items, pixels, number  # type: ignore[misc]

    def draw(
        self,
        target: np.ndarray,
        prediction: np.ndarray,
        hidden: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        wavelengths: np.ndarray | None = None,
        index: np.ndarray | None = None,
        spec: DataSpec | None = None,
    ) -> Drawing:
        """Draws the spectra.

        Args:
            target, prediction: cubes (n, bands, height, width).
            hidden: true where the model was not shown a value, like the cubes.
            mask: true where a value is good, like the cubes.
            wavelengths: of each band in nm, (n, bands).
            index: the number of each item in its data set, (n,).
            spec: the fields, with the unit of the cubes.

        Raises:
            UserError: if there is nothing to draw, or the cubes have no such pixel.
        """
        cubes = cubes_of(target, prediction, hidden, mask, wavelengths, self.items)
        chosen = [self._pixels(scored) for scored in cubes.scored]
        numbers = np.arange(len(chosen)) if index is None else np.asarray(index).ravel()
        columns = max(1, *(len(pixels) for pixels in chosen))
        drawing = canvas(3.3 * columns + 0.4, 0.8 + 2.6 * len(chosen), "Spectra of single pixels")
        grid = drawing.subplots(len(chosen), columns, squeeze=False, sharex=True)
        for item, (axes, pixels) in enumerate(zip(grid, chosen, strict=True)):
            for ax, pixel in zip(axes, pixels, strict=False):
                _spectrum(ax, cubes, item, pixel, f"item {numbers[item]}, pixel ({pixel[0]}, {pixel[1]})")
                ax.set_ylabel(unit_of(spec), fontsize=MEDIUM)
            for ax in axes[len(pixels) :]:
                ax.set_axis_off()
        if chosen[0]:
            grid[0, 0].legend(fontsize=SMALL)
        return drawing

    def _pixels(self, scored: np.ndarray) -> list[tuple[int, int]]:
        """Row and column of the pixels to be drawn of an item; those of which most bands count, where none are
        given."""
        height, width = scored.shape[1:]
        if self.pixels is not None:
            beyond = [f"({row}, {column})" for row, column in self.pixels if row >= height or column >= width]
            if beyond:
                said = f"cubes of {height} x {width} pixels have no pixel {', '.join(beyond)}"
                raise UserError(said, hint="pixels are [row, column], from 0")
            return [(row, column) for row, column in self.pixels]
        return evenly(scored.sum(0), self.number)


def evenly(counts: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Row and column of pixels (height, width) spread evenly, in the middle of as many equal parts of the image, among
    those whose count is largest in their part; fewer where nothing counts."""
    height, width = counts.shape
    rows = max(1, round(np.sqrt(number * height / width)))
    rows = min(rows, number, height)
    shares = [number // rows + (k < number % rows) for k in range(rows)]
    chosen = []
    for k, columns in enumerate(shares):
        columns = min(columns, width)
        top, bottom = k * height // rows, (k + 1) * height // rows
        for j in range(columns):
            left, right = j * width // columns, (j + 1) * width // columns
            part = counts[top:bottom, left:right]
            best = np.argwhere(part == part.max())
            if part.max() > 0:
                apart = np.square(best - (np.array(part.shape) - 1) / 2).sum(1)
                row, column = best[apart.argmin()]
                chosen.append((top + int(row), left + int(column)))
    return chosen


def _spectrum(axes: Axes, cubes: Cubes, item: int, pixel: tuple[int, int], title: str) -> None:
    where, name = cubes.axis
    order = np.argsort(where, kind="stable")
    at = (item, slice(None), *pixel)
    true, found = (
        np.where(cubes.good[at], cubes.target[at], np.nan),
        np.where(cubes.scored[at], cubes.prediction[at], np.nan),
    )
    axes.plot(where[order], true[order], color=TRUE, label="input", linewidth=1.4)
    style = "-" if cubes.hidden is None else ".-"
    axes.plot(where[order], found[order], style, color=FOUND, label="output", linewidth=1.1, markersize=4)
    angle = degrees(true, found)
    axes.set_title(title + (f": {angle:.1f}°" if np.isfinite(angle) else ""), fontsize=MEDIUM)
    _finish(axes, name)


def degrees(true: np.ndarray, found: np.ndarray) -> float:
    """The angle between two spectra where both are known, in degrees; NaN where one of them is zero."""
    known = np.isfinite(true) & np.isfinite(found)
    x, y = true[known], found[known]
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.degrees(np.arccos(np.clip(x @ y / norm, -1, 1)))) if norm > 0 else float("nan")


def _finish(axes: Axes, across: str, up: str = "") -> None:
    axes.set_xlabel(across, fontsize=MEDIUM)
    axes.set_ylabel(up, fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)
