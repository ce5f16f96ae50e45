"""Images beside what an autoencoder makes of them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch
from pydantic import Field

from stem_images.drawn import (
    COLOURS,
    MEDIUM,
    SMALL,
    axes_of,
    canvas,
    checked,
    height_of,
    laid_over,
    limits,
    pictures,
    titled,
)
from stemcore import DataSpec, Figure, UserError

PANEL = 1.9


class ImageGrid(Figure):
    """Images, their reconstructions and the error, a column for each item. Three channels are red, green and blue, one
    is grey, of more the first three are drawn. Black and white are the least and the largest value of the originals;
    the error is the root mean square over channels of each pixel, in physical units, on one scale for all.

    Args:
        items: how many held-out items are drawn.
    """

    source = "sample"
    items = 8

    def __init__(self, *, items: Annotated[int, Field(ge=1)] = 8) -> None:
        self.items = items  # type: ignore[misc]  # how many are collected is this figure's

    def draw(self, target: np.ndarray, prediction: np.ndarray, index: np.ndarray | None = None) -> Drawing:
        """Draws the images.

        Args:
            target, prediction: images (n, c, h, w).
            index: the number of each item in its data set, (n,).

        Raises:
            UserError: if there is nothing to draw, or it is no image.
        """
        true, found = checked(target, self.items), checked(prediction, self.items)
        error = np.sqrt(np.square(found - true).mean(1))
        low, high = limits(true)
        numbers = np.arange(len(true)) if index is None else np.asarray(index).ravel()
        tall = height_of(true, PANEL)
        drawing = canvas(PANEL * len(true) + 1.2, 3 * tall + 1.0, "Images and their reconstructions")
        grid = axes_of(drawing, 3, len(true))
        finite = error[np.isfinite(error)]
        top = (float(np.percentile(finite, 99.5)) if finite.size else 0.0) or 1.0
        for column in range(len(true)):
            for row, images in enumerate((true, found)):
                grid[row, column].imshow(pictures(images[column : column + 1], low, high)[0], interpolation="nearest")
            shown = grid[2, column].imshow(error[column], cmap="magma", vmin=0, vmax=top, interpolation="nearest")
            grid[2, column].set_facecolor("0.5")
        bar = drawing.colorbar(shown, cax=grid[2, -1].inset_axes((1.03, 0, 0.05, 1)))
        bar.ax.tick_params(labelsize=SMALL)
        titled(grid[0], [f"item {number}" for number in numbers[: len(true)]])
        for axes, name in zip(grid[:, 0], ("original", "reconstruction", "error"), strict=True):
            axes.set_ylabel(name, fontsize=MEDIUM)
        return drawing


class SegmentationOverlay(Figure):
    """Images with the classes of their pixels laid over them, a row for each item: the image, the classes that are
    given, those that are predicted with the outlines of the given ones, and where the two differ. Class 0 and pixels
    without a label (a negative one) are left as they are.

    Args:
        items: how many held-out items are drawn.
        opacity: of the colours.
    """

    source = "sample"
    items = 4

    def __init__(
        self, *, items: Annotated[int, Field(ge=1)] = 4, opacity: Annotated[float, Field(gt=0, le=1)] = 0.45
    ) -> None:
        self.items = items  # type: ignore[misc]  # how many are collected is this figure's
        self.opacity = opacity

    def draw(
        self,
        target: np.ndarray,
        segmentation: np.ndarray,
        label_map: np.ndarray,
        index: np.ndarray | None = None,
        spec: DataSpec | None = None,
    ) -> Drawing:
        """Draws the images.

        Args:
            target: images (n, c, h, w).
            segmentation: logits (n, classes, h, w).
            label_map: the class of each pixel (n, 1, h, w), negative for none.
            index: the number of each item in its data set, (n,).
            spec: the fields, for the names of the classes.

        Raises:
            UserError: if there is nothing to draw, or shapes do not fit.
        """
        images = checked(target, self.items)
        found = np.asarray(segmentation)[: self.items].argmax(1)
        given = np.asarray(label_map)[: self.items].reshape(len(images), *np.shape(label_map)[-2:]).astype(int)
        if found.shape != given.shape or given.shape[1:] != images.shape[2:]:
            raise UserError(f"images {images.shape}, labels {given.shape} and predictions {found.shape} do not fit")
        shown = pictures(images, *limits(images))
        numbers = np.arange(len(images)) if index is None else np.asarray(index).ravel()
        classes = np.shape(segmentation)[1]
        drawing = canvas(4 * 2.4 + 1.0, len(images) * (height_of(images, 2.4) + 0.2) + 1.2, "Classes of pixels")
        grid = axes_of(drawing, len(images), 4)
        for row, (axes, picture, true, guess) in enumerate(zip(grid, shown, given, found, strict=True)):
            axes[0].imshow(picture, interpolation="nearest")
            axes[1].imshow(laid_over(picture, true, self.opacity), interpolation="nearest")
            axes[2].imshow(laid_over(picture, guess, self.opacity), interpolation="nearest")
            outlined = np.isin(true, range(1, classes))
            if outlined.any() and not outlined.all():
                axes[2].contour(outlined, levels=[0.5], colors="white", linewidths=0.6)
            wrong = ((true >= 0) & (true != guess)).astype(int)
            axes[3].imshow(laid_over(picture, wrong, 1.0), interpolation="nearest")
            axes[0].set_ylabel(f"item {numbers[row]}", fontsize=MEDIUM)
        titled(grid[0], ["image", "given", "predicted", "wrong"])
        drawing.legend(handles=_key(classes, spec), loc="outside lower center", ncols=6, fontsize=SMALL)
        return drawing


def _key(classes: int, spec: DataSpec | None) -> list[Patch]:
    named = spec["label_map"].classes if spec is not None and "label_map" in spec else ()
    names = named if len(named) == classes else tuple(f"class {k}" for k in range(classes))
    return [Patch(color=COLOURS[k % len(COLOURS)], label=name) for k, name in enumerate(names)]
