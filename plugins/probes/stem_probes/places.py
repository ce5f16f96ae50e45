"""What is known of the pixels of a place: its majority label, its mean."""

from __future__ import annotations

import numpy as np

from stem_probes.targets import NONE
from stemcore import UserError


def edge_of(pixels: tuple[int, int], places: tuple[int, int], given: int | None) -> int:
    """How many pixels wide and high a place is: so many that ``places`` of them cover the pixels, the last of a row or
    column perhaps in part.

    Raises:
        UserError: if there is no such number, or several and none is given.
    """
    fits = [e for e in range(1, max(pixels) + 1) if all(-(-p // e) == n for p, n in zip(pixels, places, strict=True))]
    grids = f"{pixels[0]} x {pixels[1]} pixels and {places[0]} x {places[1]} places"
    if given is not None and given not in fits:
        raise UserError(f"places of {given} pixels do not make {grids}", where="--place-size")
    if not fits:
        raise UserError(f"the labels do not fit the features: {grids}", where="--labels")
    even = [e for e in fits if all(p == e * n for p, n in zip(pixels, places, strict=True))]
    if given is None and len(fits) > 1 and not even:
        some = f"{fits[0]} to {fits[-1]}"
        raise UserError(f"places of {some} pixels make {grids}", where="--labels", hint="say which by --place-size N")
    return given or (even or fits)[0]


def majority(labels: np.ndarray, edge: int, share: float) -> np.ndarray:
    """The label of each place.

    Args:
        labels: (n, H, W) codes, ``NONE`` for none.
        edge: pixels of a place along each axis.
        share: of the place's pixels that must have the label; of two with as many pixels neither is taken.

    Returns:
        (n, h, w) codes.
    """
    best = np.zeros(_grid(labels.shape, edge), dtype=np.int64)
    winner = np.full(best.shape, NONE, dtype=np.int64)
    for code in range(int(labels.max(initial=NONE)) + 1):
        count = _sums((labels == code).astype(np.int64), edge)
        winner = np.where(count > best, code, np.where(count == best, NONE, winner))
        best = np.maximum(best, count)
    pixels = _sums(np.ones(labels.shape[-2:], dtype=np.int64), edge)
    return np.where((best > 0) & (best >= share * pixels), winner, NONE)


def means(values: np.ndarray, edge: int, valid: np.ndarray | None = None) -> np.ndarray:
    """Mean of (..., H, W) over each place's pixels that are finite (and ``valid``, bool alike): (..., h, w) float64,
    NaN where there is none."""
    counted = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    total = _sums(np.where(counted, values, 0).astype(np.float64), edge)
    count = _sums(counted.astype(np.int64), edge)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _sums(values: np.ndarray, edge: int) -> np.ndarray:
    rows = np.add.reduceat(values, np.arange(0, values.shape[-2], edge), axis=-2)
    sums: np.ndarray = np.add.reduceat(rows, np.arange(0, values.shape[-1], edge), axis=-1)
    return sums


def _grid(shape: tuple[int, ...], edge: int) -> tuple[int, ...]:
    return (*shape[:-2], -(-shape[-2] // edge), -(-shape[-1] // edge))
