"""Cutting scenes into tiles, and into regions that share no pixel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stemcore import UserError


@dataclass(frozen=True)
class Tiling:
    """How scenes are cut.

    A scene is cut into regions, and each region into tiles by itself, so that no tile reaches into two of them.

    Attributes:
        tile: height and width of a tile.
        stride: from one to the next.
        shift: whether the last tiles of a region are shifted inwards, so that all of it is covered; else what is left
            at its edges is left out.
        regions: regions down and across.
        gap: pixels that are left out between regions.
    """

    tile: tuple[int, int]
    stride: tuple[int, int]
    shift: bool = True
    regions: tuple[int, int] = (1, 1)
    gap: int = 0

    def of(self, height: int, width: int) -> Grid:
        """The tiles of a scene.

        Raises:
            UserError: if a region is smaller than a tile.
        """
        starts, numbers = zip(*(self._along(axis, size) for axis, size in enumerate((height, width))), strict=True)
        return Grid(starts[0], starts[1], numbers[0], numbers[1], self.regions[1])

    def _along(self, axis: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """First pixels of the tiles along an axis, and the number of the region of each."""
        count, tile = self.regions[axis], self.tile[axis]
        edges = [(size + self.gap) * k // count for k in range(count + 1)]
        starts, numbers = [], []
        for number, (low, high) in enumerate(pairwise(edges)):
            length = high - low - self.gap
            if length < tile:
                kind = "a region" if count > 1 else "the scene"
                raise UserError(
                    f"{kind} of {max(length, 0)} pixels along its {('height', 'width')[axis]} has no tile of {tile}",
                    hint="choose smaller tiles" + (", fewer regions or a smaller gap" if count > 1 else ""),
                )
            found = list(range(0, length - tile + 1, self.stride[axis]))
            if self.shift and found[-1] + tile < length:
                found.append(length - tile)
            starts += [low + start for start in found]
            numbers += [number] * len(found)
        return np.array(starts), np.array(numbers)


@dataclass(frozen=True)
class Grid:
    """The tiles of a scene, row by row.

    Attributes:
        rows, columns: their first pixels along each axis.
        row_regions, column_regions: the region of each, along each axis.
        across: regions across.
    """

    rows: np.ndarray
    columns: np.ndarray
    row_regions: np.ndarray
    column_regions: np.ndarray
    across: int

    @property
    def shape(self) -> tuple[int, int]:
        """Tiles down and across."""
        return len(self.rows), len(self.columns)

    @property
    def corners(self) -> np.ndarray:
        """(tiles, 2), the first row and column of each."""
        return np.stack([a.reshape(-1) for a in np.meshgrid(self.rows, self.columns, indexing="ij")], axis=1)

    @property
    def regions(self) -> np.ndarray:
        """(tiles,), the number of the region of each."""
        return (self.row_regions[:, None] * self.across + self.column_regions).reshape(-1)


def whole(height: int, width: int) -> Grid:
    """A scene that is not cut."""
    zero = np.zeros(1, np.int64)
    return Grid(zero, zero, zero, zero, 1)
