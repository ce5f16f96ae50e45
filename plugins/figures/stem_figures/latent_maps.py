"""Maps of the latents over the scan."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_figures.style import COLOURS, LATENT, MEDIUM, SMALL, canvas, colour_bar, finite, without_ticks
from stemcore import DataSpec, Figure, UserError


class LatentMaps(Figure):
    """One map over the scan per latent, those that vary most first, and a map whose red, green and blue are the
    first three principal components of all latents. Without a scan, or where not every position of it is there, the
    items are drawn as points in the plane of the first two components.

    Args:
        maximum: how many latents are drawn at most.
    """

    source = "dataset"

    def __init__(self, *, maximum: Annotated[int, Field(ge=1)] = 36) -> None:
        self.maximum = maximum

    def draw(self, latent: np.ndarray, spec: DataSpec) -> Drawing:
        """Draws the maps.

        Args:
            latent: latents of every item in order, (n, ...).
            spec: the fields, with the scan's shape.

        Raises:
            UserError: if there is nothing to draw.
        """
        if not len(latent) or not np.size(latent):
            raise UserError("there is no latent to draw")
        rows = np.asarray(latent, dtype=float).reshape(len(latent), -1)
        shape = spec.scan_shape
        if shape is None or len(shape) != 2 or math.prod(shape) != len(rows):
            return _points(rows)
        return _maps(rows, (shape[0], shape[1]), self.maximum)


def principal_components(rows: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, number) of the rows (n, d) along their directions of largest variance, and the share of the variance
    in each (number,). What there is none of is 0: rows that are not finite, components beyond the rank. Each sign is
    such that the largest scores are positive."""
    whole = np.isfinite(rows).all(1)
    scores, shares = np.zeros((len(rows), number)), np.zeros(number)
    if not whole.any():
        return scores, shares
    centred = rows[whole] - rows[whole].mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1][:, :number]
    found = centred @ vectors
    found *= np.where(np.abs(found.min(0)) > found.max(0), -1, 1)
    scores[whole, : found.shape[1]] = found
    if values.sum() > 0:
        shares[: found.shape[1]] = values[: found.shape[1]] / values.sum()
    return scores, shares


def colours_of(scores: np.ndarray) -> np.ndarray:
    """Scores (n, 3) as red, green and blue from 0.1 to 1, each component between its 1st and 99th percentile."""
    low, high = np.percentile(scores, [1, 99], axis=0)
    span = np.where(high > low, high - low, 1)
    colours: np.ndarray = np.where(high > low, (scores - low) / span, 0.5).clip(0, 1)
    return 0.1 + 0.9 * colours


def _maps(rows: np.ndarray, shape: tuple[int, int], maximum: int) -> Drawing:
    whole = rows[np.isfinite(rows).all(1)]
    variances = whole.var(0) if len(whole) else np.zeros(rows.shape[1])
    order = np.argsort(-variances, kind="stable")[:maximum]
    panels = len(order) + 1
    columns = min(7, math.ceil(math.sqrt(panels * 1.5)))
    lines = math.ceil(panels / columns)
    title = f"The {len(order)} of {rows.shape[1]} latents that vary most, over the scan"
    tall = float(np.clip(1.9 * shape[0] / shape[1], 0.6, 5.0))
    title = title if len(order) < rows.shape[1] else "Latents over the scan, those that vary most first"
    drawing = canvas(2.2 * columns, 0.7 + lines * (tall + 0.3), title)
    grid = drawing.subplots(lines, columns, squeeze=False).ravel()
    _colour_map(grid[0], rows, shape)
    for axes, latent in zip(grid[1:], order, strict=False):
        image = rows[:, latent].reshape(shape)
        low, high = np.percentile(finite(image), [0.5, 99.5])
        drawn = axes.imshow(image, cmap=LATENT, vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(f"latent {latent}", fontsize=MEDIUM)
        without_ticks(axes)
        colour_bar(drawing, drawn, axes)
    for unused in grid[panels:]:
        unused.set_axis_off()
    return drawing


def _colour_map(axes: Axes, rows: np.ndarray, shape: tuple[int, int]) -> None:
    scores, shares = principal_components(rows, 3)
    axes.imshow(colours_of(scores).reshape(*shape, 3), interpolation="nearest")
    axes.set_title("PC 1, 2, 3 as RGB", fontsize=MEDIUM)
    axes.set_xlabel(f"{shape[0]} × {shape[1]} positions\n{shares.sum():.0%} of the variance", fontsize=SMALL)
    without_ticks(axes)


def _points(rows: np.ndarray) -> Drawing:
    scores, shares = principal_components(rows, 2)
    drawing = canvas(5.5, 5.0, f"Latents of {len(rows)} items")
    axes = drawing.subplots()
    size = float(np.clip(10000 / len(rows), 2, 30))
    axes.scatter(
        scores[:, 0], scores[:, 1], s=size, color=COLOURS[0], alpha=0.6, linewidths=0, rasterized=len(rows) > 5000
    )
    axes.set_xlabel(f"principal component 1 ({shares[0]:.0%} of the variance)", fontsize=MEDIUM)
    axes.set_ylabel(f"principal component 2 ({shares[1]:.0%})", fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)
    return drawing
