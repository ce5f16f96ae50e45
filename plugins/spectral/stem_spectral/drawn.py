"""What the figures of cubes share: their arrays in one form, and their look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure as Drawing

from stemcore import DataSpec, UserError

SMALL, MEDIUM, LARGE = 9, 10, 12
TRUE, FOUND, MEAN = "0.25", "#D55E00", "#0072B2"


class Cubes(NamedTuple):
    """Some items as arrays (n, bands, height, width).

    Attributes:
        target, prediction: in physical units, NaN where they are not finite.
        good: where values are no bad ones.
        hidden: what the model was not shown; ``None`` where nobody says.
        wavelengths: of each band in nm, (bands,); ``None`` where they are not known.
    """

    target: np.ndarray
    prediction: np.ndarray
    good: np.ndarray
    hidden: np.ndarray | None
    wavelengths: np.ndarray | None

    @property
    def scored(self) -> np.ndarray:
        """Where an error counts: good values, hidden ones where it is known which these are."""
        return self.good if self.hidden is None else self.good & self.hidden

    @property
    def axis(self) -> tuple[np.ndarray, str]:
        """Where the bands stand on an axis, (bands,), and what it is called."""
        if self.wavelengths is None:
            return np.arange(self.target.shape[1]), "band"
        return self.wavelengths, "wavelength (nm)"


def cubes_of(
    target: np.ndarray,
    prediction: np.ndarray,
    hidden: np.ndarray | None,
    mask: np.ndarray | None,
    wavelengths: np.ndarray | None,
    items: int,
) -> Cubes:
    """The first items of what a figure was given.

    Raises:
        UserError: if there is no cube to draw.
    """
    if not len(target):
        raise UserError("there is no cube to draw")
    if np.ndim(target) != 4 or np.shape(target) != np.shape(prediction):
        raise UserError(
            f"cubes are drawn as (n, bands, height, width), not {np.shape(target)} beside {np.shape(prediction)}"
        )
    whole = [_finite(x[:items]) for x in (target, prediction)]
    good = np.isfinite(whole[0])
    if mask is not None:
        good = good & mask[:items]
    shown = None if hidden is None else np.broadcast_to(hidden[:items], good.shape)
    known = None if wavelengths is None else np.asarray(wavelengths, dtype=float).reshape(-1, good.shape[1])[0]
    return Cubes(whole[0], whole[1], good, shown, known if known is not None and np.isfinite(known).all() else None)


def _finite(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    found: np.ndarray = np.where(np.isfinite(x), x, np.nan)
    return found


def canvas(width: float, height: float, title: str) -> Drawing:
    """An empty drawing of this size in inches, which belongs to no window."""
    drawing = Drawing(figsize=(width, height), dpi=110, layout="constrained")
    drawing.suptitle(title, fontsize=LARGE)
    return drawing


def mean_where(x: np.ndarray, valid: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean of what is valid along some axes; NaN of nothing."""
    count = valid.sum(axes)
    total = np.where(valid, x, 0).sum(axes)
    found: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found


def unit_of(spec: DataSpec | None) -> str:
    """The unit of the cubes in words, "value" where it is not known."""
    field = None if spec is None else spec.get("input")
    return "value" if field is None or not field.unit else field.unit
