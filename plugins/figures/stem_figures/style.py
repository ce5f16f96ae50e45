"""The look that all figures share."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage

INTENSITY = "magma"
DIFFERENCE = "RdBu_r"
LATENT = "viridis"
SMALL, MEDIUM, LARGE = 9, 10, 12
# Okabe and Ito's colours, told apart with every kind of colour vision; black is left to texts.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#7F7F7F")


def canvas(width: float, height: float, title: str = "") -> Drawing:
    """An empty drawing of this size in inches, which belongs to no window and no global state."""
    drawing = Drawing(figsize=(width, height), dpi=110, layout="constrained")
    if title:
        drawing.suptitle(title, fontsize=LARGE)
    return drawing


def without_ticks(axes: Axes) -> None:
    """Leaves an image its frame only."""
    axes.set_xticks([])
    axes.set_yticks([])


def colour_bar(drawing: Drawing, image: AxesImage, axes: Axes, label: str = "") -> None:
    """A thin colour bar right of the axes, as high as they are."""
    bar = drawing.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.05, 1)))
    bar.ax.tick_params(labelsize=SMALL)
    if label:
        bar.set_label(label, fontsize=SMALL)


def finite(values: np.ndarray) -> np.ndarray:
    """The finite values, flat; a single 0 where there are none."""
    kept = values[np.isfinite(values)]
    return kept if kept.size else np.zeros(1)
