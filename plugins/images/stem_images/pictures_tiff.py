"""Pictures in TIFF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stem_images.image_libraries import imported
from stem_images.picture import TURNED, Header, upright
from stemcore import UserError

PALETTE, WHITE_IS_ZERO = 3, 0
"""Photometric interpretations."""
ORIENTATION = 274
OPACITY = 2
"""The kind of extra channel that colours are not yet multiplied by."""
COLOUR_STEP = 257
"""A palette of TIFF has 16 bits: those of 8 are multiples of this."""


def header(path: Path) -> Header:
    """What the first series of a file is; its pixels are not decoded."""
    with imported("tifffile", "reading TIFF").TiffFile(path) as file:
        series = file.series[0]
        axis = _channel_axis(series)
        size = tuple(n for name, n in zip(series.axes, series.shape, strict=True) if name in "YX")
        if series.axes.index("X") < series.axes.index("Y") or _orientation(series) in TURNED:
            size = size[::-1]
        if _photometric(series) == PALETTE:
            return Header((size[0], size[1]), 3, "uint8")
        channels = 1 if axis is None else int(series.shape[axis])
        dtype = np.dtype(series.dtype).newbyteorder("=")
        return Header((size[0], size[1]), channels, "uint8" if dtype.kind == "b" else dtype.name, _alpha(series))


def values(path: Path, *, indices: bool = False) -> np.ndarray:
    """The pixels (channels, height, width), upright by the orientation in the file.

    Args:
        path: of the file.
        indices: a palette's indices in place of its colours, and bilevel pictures as 0 and 1 in place of 0 and 255;
            nothing is inverted where white is 0.
    """
    with imported("tifffile", "reading TIFF").TiffFile(path) as file:
        series = file.series[0]
        pixels = _channels_first(series, series.asarray())
        pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        if _photometric(series) == PALETTE and not indices:
            colours = (np.asarray(series.keyframe.colormap) // COLOUR_STEP).astype(np.uint8)
            pixels = colours[:, pixels[0]]
        elif pixels.dtype == bool:
            pixels = pixels.astype(np.uint8) * np.uint8(1 if indices else 255)
        if _photometric(series) == WHITE_IS_ZERO and pixels.dtype.kind == "u" and not indices:
            pixels = np.iinfo(pixels.dtype).max - pixels
        return upright(pixels, _orientation(series))


def _channel_axis(series: Any) -> int | None:
    """The axis of the channels, or of the pages; ``None`` where there is one image of one channel."""
    axes = series.axes
    others = [k for k, name in enumerate(axes) if name not in "YX" and series.shape[k] > 1]
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(others) > 1:
        hint = "right are height, width and at most one axis of channels or pages"
        raise UserError(f"its image has the axes {axes}, {series.shape}", hint=hint)
    return others[0] if others else None


def _channels_first(series: Any, pixels: np.ndarray) -> np.ndarray:
    axis = _channel_axis(series)
    order = [series.axes.index("Y"), series.axes.index("X")]
    lengths = [series.shape[k] for k in order]
    pixels = pixels.reshape(series.shape)
    if axis is not None:
        return pixels.transpose(axis, *order, *_rest(series, [axis, *order])).reshape(-1, *lengths)
    return pixels.transpose(*order, *_rest(series, order)).reshape(1, *lengths)


def _rest(series: Any, used: list[int]) -> list[int]:
    """Axes of length one."""
    return [k for k in range(len(series.axes)) if k not in used]


def _photometric(series: Any) -> int:
    return int(series.keyframe.photometric)


def _orientation(series: Any) -> int:
    tag = series.keyframe.tags.get(ORIENTATION)
    return 1 if tag is None else int(tag.value)


def _alpha(series: Any) -> bool:
    return [int(one) for one in series.keyframe.extrasamples] == [OPACITY]
