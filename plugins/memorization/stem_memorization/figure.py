"""Pairs of samples and training items, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLUMNS = 4


def pairs(left: np.ndarray, right: np.ndarray, titles: Sequence[str], below: Sequence[str]) -> Figure:
    """Draws items in pairs.

    Args:
        left, right: (n, ...) the items: pictures (n, c, h, w), or values (n, ...) that are drawn as lines.
        titles: of each pair.
        below: the name of each item on the right.
    """
    across = min(COLUMNS, max(1, len(left)))
    down = max(1, -(-len(left) // across))
    figure = Figure(figsize=(2.6 * across, 1.75 * down))
    axes: Any = figure.subplots(down, 2 * across, squeeze=False, gridspec_kw={"wspace": 0.08, "hspace": 0.4})
    for axis in axes.ravel():
        axis.set_axis_off()
    low, high = _range(np.concatenate([left, right])) if len(left) else (0.0, 1.0)
    for k in range(len(left)):
        row, column = divmod(k, across)
        one, other = axes[row, 2 * column], axes[row, 2 * column + 1]
        for axis, values in ((one, left[k]), (other, right[k])):
            _show(axis, values, low, high)
        one.set_title(f"sample {titles[k]}", fontsize=6)
        other.set_title(f"training item\n{_short(below[k])}", fontsize=6)
    return figure


def title(number: int, copy: bool, ratio: float, cosine: float) -> str:
    """What stands above a sample."""
    return f"{number}{' copy' if copy else ''}\nratio {ratio:.2f}, cosine {cosine:.3f}"


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _show(axis: Any, values: np.ndarray, low: float, high: float) -> None:
    """A picture of three channels in colours, of others their mean in grey; anything else as a line."""
    if values.ndim != 3:
        axis.plot(values.ravel(), linewidth=0.8)
        axis.set_ylim(low, high if high > low else low + 1)
        return
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
    if len(values) == 3:
        axis.imshow(np.moveaxis(scaled, 0, -1), interpolation="nearest")
    else:
        axis.imshow(scaled.mean(axis=0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:8]}…{name[-8:]}"
