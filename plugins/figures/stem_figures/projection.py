"""Latents in the plane."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_figures.latent_maps import principal_components
from stem_figures.style import COLOURS, LATENT, MEDIUM, SMALL, canvas, colour_bar
from stemcore import DataSpec, Figure, UserError

MOST_CLASSES = 16
SEED = 42


class Projection(Figure):
    """Latents of every item in the plane, by principal components or UMAP (McInnes, Healy, Melville 2018).

    Latents of two encoders (``latent`` and ``other``) are projected together, and drawn first by which of the two they
    come from: two platforms that share a latent space lie over each other. A panel more is coloured by a label, in
    classes where it has names or whole numbers, else by a colour scale.

    Args:
        method: how they come into the plane; umap needs ``pip install 'stemcore[umap]'``.
        neighbors: of umap.
        field: the field that ``label`` is, where ``inputs`` renames it: for the names of its classes.
        names: what ``latent`` and ``other`` are called.
    """

    source = "dataset"

    def __init__(
        self,
        *,
        method: Literal["pca", "umap"] = "pca",
        neighbors: Annotated[int, Field(ge=2)] = 15,
        field: str = "label",
        names: tuple[str, str] = ("a", "b"),
    ) -> None:
        self.method, self.neighbors, self.field, self.names = method, neighbors, field, names

    def draw(
        self, latent: np.ndarray, spec: DataSpec, other: np.ndarray | None = None, label: np.ndarray | None = None
    ) -> Drawing:
        """Draws the plane.

        Args:
            latent: latents of every item in order, (n, ...).
            spec: the fields, for the classes of the label.
            other: further latents of the same items, (n, ...).
            label: a number or class of every item, (n,).

        Raises:
            UserError: if there is nothing to draw, or UMAP is not installed.
        """
        if not np.size(latent):
            raise UserError("there is no latent to draw")
        sets = [np.asarray(x, dtype=float).reshape(len(x), -1) for x in (latent, other) if x is not None]
        points, axis = self._plane(np.concatenate(sets))
        panels = int(len(sets) > 1) + int(label is not None) or 1
        drawing = canvas(5.4 * panels, 4.8, f"Latents of {len(latent):,} items")
        grid = iter(drawing.subplots(1, panels, squeeze=False)[0])
        if len(sets) > 1 or label is None:
            names = self.names if len(sets) > 1 else ("",)
            _by_class(next(grid), points, np.repeat(np.arange(len(sets)), len(latent)), names, "")
        if label is not None:
            field = spec.get(self.field)
            classes = field.classes if field is not None else ()
            _by_label(drawing, next(grid), points, np.tile(np.ravel(label), len(sets)), classes, self.field)
        for axes in drawing.axes[:panels]:
            axes.set_xlabel(axis[0], fontsize=MEDIUM)
            axes.set_ylabel(axis[1], fontsize=MEDIUM)
            axes.tick_params(labelsize=SMALL)
            axes.grid(alpha=0.3)
        return drawing

    def _plane(self, rows: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
        """The rows (n, d) in the plane, (n, 2), and what the axes are called."""
        if self.method == "pca":
            scores, shares = principal_components(rows, 2)
            return scores, (
                f"principal component 1 ({shares[0]:.0%} of the variance)",
                f"component 2 ({shares[1]:.0%})",
            )
        try:
            from umap import UMAP
        except ImportError as error:
            raise UserError(
                "the figure's method umap needs umap-learn", hint="pip install 'stemcore[umap]', or method: pca"
            ) from error
        found = np.full((len(rows), 2), np.nan)
        whole = np.isfinite(rows).all(1)
        neighbors = min(self.neighbors, int(whole.sum()) - 1)
        if neighbors >= 2:
            # One thread with a seed: the same picture every time.
            found[whole] = UMAP(n_neighbors=neighbors, random_state=SEED, n_jobs=1).fit_transform(rows[whole])
        return found, ("UMAP 1", "UMAP 2")


def _by_label(
    drawing: Drawing, axes: Axes, points: np.ndarray, label: np.ndarray, classes: tuple[str, ...], name: str
) -> None:
    whole = np.issubdtype(label.dtype, np.integer)
    found = np.unique(label[np.isfinite(label)])
    if whole and len(found) <= MOST_CLASSES:
        names = [_class_name(int(value), classes) for value in found]
        _by_class(axes, points, np.searchsorted(found, label), names, name)
        return
    drawn = axes.scatter(points[:, 0], points[:, 1], c=label, cmap=LATENT, **_marks(len(points)))
    colour_bar(drawing, drawn, axes, name)  # type: ignore[arg-type]


def _class_name(value: int, classes: tuple[str, ...]) -> str:
    if value < 0:
        return "unknown"
    return classes[value] if value < len(classes) else str(value)


def _by_class(
    axes: Axes, points: np.ndarray, classes: np.ndarray, names: tuple[str, ...] | list[str], title: str
) -> None:
    for number, name in enumerate(names):
        mine = points[classes == number]
        colour, marker = COLOURS[number % len(COLOURS)], "ox"[number // len(COLOURS) % 2]
        axes.scatter(mine[:, 0], mine[:, 1], color=colour, marker=marker, label=name, **_marks(len(points)))
    if any(names):
        axes.legend(fontsize=SMALL, title=title or None)


def _marks(count: int) -> dict[str, float | bool]:
    return {"s": float(np.clip(10000 / count, 2, 30)), "alpha": 0.6, "linewidths": 0.8, "rasterized": count > 5000}
