"""What the head of a picture's file says, and which way up the picture is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TURNED = (5, 6, 7, 8)
"""Orientations of EXIF and TIFF that swap height and width."""


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        size: height and width, the picture upright.
        channels: their number.
        dtype: NumPy name of the stored type.
        alpha: whether the last channel says how opaque a pixel is.
    """

    size: tuple[int, int]
    channels: int
    dtype: str
    alpha: bool = False

    def __str__(self) -> str:
        return f"{self.size[0]} x {self.size[1]} with {self.channels} channels of {self.dtype}"


def upright(x: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (..., height, width) turned and mirrored as the orientation of EXIF and TIFF (1 to 8) says."""
    if orientation in TURNED:
        x = np.swapaxes(x, -2, -1)
    if orientation in (2, 3, 6, 7):
        x = x[..., ::-1]
    if orientation in (3, 4, 7, 8):
        x = x[..., ::-1, :]
    return x
