"""Reconstructions beside what was recorded."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage

from stem_figures.style import DIFFERENCE, INTENSITY, MEDIUM, canvas, colour_bar, finite, without_ticks
from stemcore import Figure, UserError

DECADES = 1e5


class Reconstruction(Figure):
    """Best, median and worst of the sampled patterns, by the squared error of the square roots: input,
    reconstruction, and the difference of their square roots, in which the noise of counts is equally strong (standard
    deviation 1/2) everywhere, so that what stands out of it was lost or invented. Where the noise-free truth of at
    least three patterns is known, they are chosen among those, and the truth is shown too.

    Images share a logarithmic colour scale of up to 5 decades along a row; darker pixels are black. Of images with
    several channels the mean is shown.
    """

    source = "sample"

    def draw(
        self,
        target: np.ndarray,
        prediction: np.ndarray,
        index: np.ndarray | None = None,
        expected: np.ndarray | None = None,
    ) -> Drawing:
        """Draws up to three patterns.

        Args:
            target, prediction: intensities (n, c, h, w), (n, h, w) or spectra (n, d).
            index: the number of each item in its data set, (n,).
            expected: noise-free intensities like ``target``, NaN where they are not known.

        Raises:
            UserError: if there is nothing to draw.
        """
        if not len(target):
            raise UserError("there is no pattern to draw")
        index = np.arange(len(target)) if index is None else np.asarray(index).ravel()
        target, prediction = images(target), images(prediction)
        errors = root_error(prediction, target)
        truth = np.full_like(target, np.nan) if expected is None else images(expected)
        known = np.isfinite(truth).all((1, 2))
        eligible = known if known.sum() >= 3 else np.ones_like(known)
        chosen = best_median_worst(errors, eligible)
        with_truth = bool(known[list(chosen.values())].any())
        among = f"{eligible.sum()} patterns" + (" with known truth" if eligible.sum() < len(target) else "")
        drawing, grid = _grid(len(chosen), 4 if with_truth else 3, target.shape[1:], f"Reconstructions among {among}")
        for axes, (rank, item) in zip(grid, chosen.items(), strict=True):
            row = Row(target[item], prediction[item], truth[item] if known[item] else None)
            label = f"{rank}: item {index[item]}\nerror {errors[item]:.3g}"
            if row.truth is not None:
                label += f", to truth {root_error(row.prediction[None], row.truth[None])[0]:.3g}"
            axes[0].set_ylabel(label, fontsize=MEDIUM)
            _draw_row(drawing, axes, row)
        titles = ["input", "reconstruction", *["truth"] * with_truth, "√reconstruction − √input"]
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title, fontsize=MEDIUM)
        return drawing


class Row(NamedTuple):
    """The images (h, w) of one pattern."""

    target: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None


def images(x: np.ndarray) -> np.ndarray:
    """Patterns as single-channel images (n, h, w): the mean of several channels, a spectrum as a single row. What is
    not finite becomes NaN, which is drawn grey."""
    x = np.asarray(x, dtype=float)
    x = np.where(np.isfinite(x), x, np.nan)
    if x.ndim > 3:
        x = x.reshape(len(x), -1, *x.shape[-2:]).mean(1)
    return x if x.ndim == 3 else x.reshape(len(x), 1, -1)


def roots(x: np.ndarray) -> np.ndarray:
    """Square roots of the intensities, 0 for negative ones."""
    found: np.ndarray = np.sqrt(np.maximum(x, 0))
    return found


def root_error(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean squared difference of the square roots of each pattern, (n,)."""
    error: np.ndarray = np.square(roots(prediction) - roots(target)).mean((1, 2))
    return error


def best_median_worst(errors: np.ndarray, eligible: np.ndarray) -> dict[str, int]:
    """The items to show by their rank; fewer where fewer are eligible. An error that is not finite is the worst."""
    items = np.flatnonzero(eligible)
    order = items[np.argsort(np.nan_to_num(errors[items], nan=np.inf), kind="stable")]
    if len(order) == 1:
        return {"only item": int(order[0])}
    ranks = {"best": int(order[0]), "median": int(order[len(order) // 2]), "worst": int(order[-1])}
    return ranks if len(order) > 2 else {"best": ranks["best"], "worst": ranks["worst"]}


def intensity_scale(*shown: np.ndarray) -> Normalize:
    """A logarithmic colour scale for these images, at most 5 decades long; linear where nothing is positive."""
    values = np.concatenate([finite(x) for x in shown])
    positive = values[values > 0]
    if not positive.size:
        return Normalize(min(0.0, values.min()), max(1.0, values.max()))
    top = positive.max()
    bottom = max(np.percentile(positive, 1), top / DECADES)
    return LogNorm(min(bottom, top / 10), top, clip=True)


def _grid(rows: int, columns: int, size: tuple[int, ...], title: str) -> tuple[Drawing, np.ndarray]:
    tall = float(np.clip(2.9 * size[0] / size[1], 0.7, 6.0))
    drawing = canvas(3.2 * columns + 0.9, 0.8 + rows * (tall + 0.15), title)
    grid = drawing.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        without_ticks(axes)
        axes.set_facecolor("0.8")
    return drawing, grid


def _draw_row(drawing: Drawing, axes: np.ndarray, row: Row) -> None:
    scale = intensity_scale(row.target, row.prediction)
    shown = [row.target, row.prediction, *([] if row.truth is None else [row.truth])]
    for ax, image in zip(axes, shown, strict=False):
        drawn = _image(ax, image, INTENSITY, scale)
        if image is shown[-1]:
            colour_bar(drawing, drawn, ax, "intensity")
    if row.truth is None and len(axes) == 4:
        axes[2].text(0.5, 0.5, "not known", transform=axes[2].transAxes, ha="center", fontsize=MEDIUM)
    residual = roots(row.prediction) - roots(row.target)
    reach = np.percentile(np.abs(finite(residual)), 99.8) or 1.0
    drawn = _image(axes[-1], residual, DIFFERENCE, Normalize(-reach, reach))
    colour_bar(drawing, drawn, axes[-1], "√intensity")


def _image(axes: Axes, image: np.ndarray, colours: str, scale: Normalize) -> AxesImage:
    aspect: Literal["equal", "auto"] = "equal" if image.shape[0] > 1 else "auto"
    return axes.imshow(image, cmap=colours, norm=scale, interpolation="nearest", aspect=aspect)
