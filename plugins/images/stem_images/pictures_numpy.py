"""Pictures in .npy files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from stem_images.picture import Header
from stemcore import UserError

Axes = Literal["auto", "chw", "hwc"]
FEW = 4
"""Axes that are no longer than this are taken for channels where nothing else tells."""


def header(path: Path, axes: Axes = "auto") -> Header:
    """What the head of a file says, which is as long as that says."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    channels, height, width = _channels_first(array, axes).shape
    name = "uint8" if array.dtype.kind == "b" else array.dtype.newbyteorder("=").name
    return Header((height, width), channels, name)


def values(path: Path, axes: Axes = "auto", *, indices: bool = False) -> np.ndarray:
    """The values (channels, height, width); of truth values 0 and 255, or 0 and 1 as ``indices``."""
    array = np.load(path, allow_pickle=False)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(1 if indices else 255)
    return _channels_first(array.astype(array.dtype.newbyteorder("="), copy=False), axes)


def _channels_first(array: np.ndarray, axes: Axes) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise UserError(f"holds {array.dtype}, not numbers")
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise UserError(f"has the shape {array.shape}", hint="right are (height, width) and, with channels, three axes")
    found = _axes_of(array.shape) if axes == "auto" else axes
    if found is None:
        raise UserError(f"has the shape {array.shape}: which axis are the channels?", hint="set axes to chw or hwc")
    return array if found == "chw" else np.moveaxis(array, -1, 0)


def _axes_of(shape: tuple[int, ...]) -> Axes | None:
    """By the two axes of one length, else by the one that is short."""
    a, b, c = shape
    if (b == c) != (a == b):
        return "chw" if b == c else "hwc"
    if a != c and (a <= FEW) != (c <= FEW):
        return "chw" if a <= FEW else "hwc"
    return None
