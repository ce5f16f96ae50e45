"""Pictures brought to one size and one number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stem_images.image_libraries import imported
from stemcore import UserError

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class Window:
    """The part of a picture that is taken, and the size that it is brought to: rows from ``top``, columns from
    ``left``."""

    top: float
    left: float
    height: float
    width: float
    size: tuple[int, int]


@lru_cache(maxsize=1024)
def window_of(source: tuple[int, int], size: tuple[int, int], crop: bool) -> Window:
    """The part of a picture of ``source`` height and width that fills ``size``: all of it, or with ``crop`` the largest
    part in its middle that has the shape of ``size``."""
    if not crop:
        return Window(0.0, 0.0, float(source[0]), float(source[1]), size)
    factor = min(source[0] / size[0], source[1] / size[1])
    height, width = factor * size[0], factor * size[1]
    top, left = (source[0] - height) / 2, (source[1] - width) / 2
    # Where nothing is enlarged or reduced, a window between two pixels would blur the picture.
    whole = factor == 1
    return Window(top // 1 if whole else top, left // 1 if whole else left, height, width, size)


def resized(x: np.ndarray, window: Window) -> np.ndarray:
    """Values (channels, height, width) in the window, in their type: the mean over what falls into a pixel, weighted by
    distance (a triangle filter, wider where the picture gets smaller), so that nothing aliases or overshoots."""
    if (window.height, window.width) == window.size:
        top, left = int(window.top), int(window.left)
        return x[:, top : top + window.size[0], left : left + window.size[1]]
    image = imported("PIL.Image", "resizing pictures")
    box = (window.left, window.top, window.left + window.width, window.top + window.height)
    size = window.size[::-1]
    channels = [image.fromarray(np.ascontiguousarray(c, np.float32)) for c in x]
    out = np.stack([np.asarray(c.resize(size, image.Resampling.BILINEAR, box)) for c in channels])
    return (out if x.dtype.kind == "f" else np.rint(out)).astype(x.dtype)


def nearest(labels: np.ndarray, window: Window) -> np.ndarray:
    """Labels (height, width) in the window, those under the middle of each pixel."""
    rows = window.top + (np.arange(window.size[0]) + 0.5) * window.height / window.size[0]
    columns = window.left + (np.arange(window.size[1]) + 0.5) * window.width / window.size[1]
    return np.asarray(labels[np.ix_(rows.astype(int), columns.astype(int))])


def with_channels(
    x: np.ndarray, channels: int, *, alpha: bool, background: tuple[int, int, int] | None = None
) -> np.ndarray:
    """Values (c, height, width) as grey (1 channel) or colour (3); as they are where they have as many.

    Args:
        x: of one channel or three, and one more where ``alpha``.
        channels: 1, 3, or those that ``x`` has.
        alpha: whether the last channel says how opaque a pixel is.
        background: what shines through.

    Raises:
        UserError: if pixels are transparent and there is no background, or other channels cannot be converted.
    """
    if len(x) == channels:
        return x
    if alpha:
        x = _opaque(x, background)
    if len(x) == channels:
        return x
    if (len(x), channels) == (1, 3):
        return x.repeat(3, axis=0)
    if (len(x), channels) != (3, 1):
        raise UserError(f"has {len(x)} channels, which do not become {channels}")
    grey = np.tensordot(np.array(LUMA), x.astype(np.float64), axes=1)[None]
    return (grey if x.dtype.kind == "f" else np.rint(grey)).astype(x.dtype)


def _opaque(x: np.ndarray, background: tuple[int, int, int] | None) -> np.ndarray:
    most = 1.0 if x.dtype.kind == "f" else float(np.iinfo(x.dtype).max)
    colours, opacity = x[:-1], x[-1:] / most
    if (opacity == 1).all():
        return colours
    if background is None:
        raise UserError("has transparent pixels", hint="set background to the colour behind them, such as '#ffffff'")
    if len(colours) == 1:
        colours = colours.repeat(3, axis=0)
    behind = np.array(background).reshape(3, 1, 1) / 255 * most
    mixed = opacity * colours + (1 - opacity) * behind
    return np.asarray(mixed if x.dtype.kind == "f" else np.rint(mixed), x.dtype)
