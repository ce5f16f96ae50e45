"""What a mapping of a virtual HDF5 dataset selects, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import h5py
import numpy as np


@dataclass(frozen=True)
class Selection:
    """Points of a dataset, known by their number and by the blocks that span them.

    Attributes:
        points: how many there are; ``None`` for all points of the dataset.
        corners: (blocks, 2, axes), the first and the last point of each block, both of them selected.
    """

    points: int | None
    corners: np.ndarray

    @classmethod
    def of(cls, space: h5py.h5s.SpaceID) -> Selection | None:
        """The selection of a dataspace; ``None`` if it is of single points, empty, or without an end."""
        kind = space.get_select_type()
        if kind == h5py.h5s.SEL_ALL:
            return cls(None, np.empty((0, 2, 0), np.int64))
        if kind != h5py.h5s.SEL_HYPERSLABS:
            return None
        try:
            points = space.get_select_npoints()
            # Of an irregular one the bounds need not be selected themselves.
            regular = space.is_regular_hyperslab()
            corners = [space.get_select_bounds()] if regular else space.get_select_hyper_blocklist()
        except RuntimeError:  # unlimited
            return None
        return cls(points, np.asarray(corners, np.int64))

    def run(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """First item and number of items, where it is of whole images one after the other; else ``None``.

        Args:
            shape: of the dataset, (..., height, width), whose items are counted row by row over the leading axes. The
                run may go beyond the last one.
        """
        if self.points is None:
            return 0, math.prod(shape[:-2])
        if self.corners.shape[-1] != len(shape) or (self.corners[..., 1:] >= shape[1:]).any():
            return None
        strides = [math.prod(shape[axis + 1 : -2]) for axis in range(len(shape) - 2)]
        items = self.corners[..., :-2] @ np.array(strides, np.int64)
        first, last = int(items.min()), int(items.max())
        # All points lie in the items from the first to the last: as many as these have are all of theirs.
        whole = (last - first + 1) * math.prod(shape[-2:])
        return (first, last - first + 1) if self.points == whole else None
