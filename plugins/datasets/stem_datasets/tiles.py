"""Cutting a scan into tiles that follow the storage chunks.

A scan here is a grid of probe positions of one axis (items) or two (rows, columns), stored row by row.
"""

from __future__ import annotations

import math

import numpy as np

Grid = tuple[int, ...]

LEAST_ITEMS = 16
LEAST_BYTES = 1 << 18
MOST_BYTES = 1 << 25
MOST_CHUNK_BYTES = 1 << 29


def tile_of(scan: Grid, chunk: Grid | None, item_bytes: int) -> Grid:
    """Probe positions along each axis that are read together.

    A tile is a whole number of chunks, with at least 16 patterns and a quarter of a megabyte but at most 32 MB,
    so that small chunks cost few calls. A chunk beyond 32 MB is a tile by itself, as reading it in pieces would
    decode it once for each, unless it is so large (512 MB) that memory matters more.

    Args:
        scan: positions along each axis.
        chunk: positions along each axis of one storage chunk; ``None`` where storage is contiguous.
        item_bytes: bytes of one decoded pattern.
    """
    tile = [min(c, s) for c, s in zip(chunk or (1,) * len(scan), scan, strict=True)]
    if math.prod(tile) * item_bytes > MOST_CHUNK_BYTES:
        tile = [1] * len(scan)
    elif math.prod(tile) * item_bytes > MOST_BYTES:
        return tuple(tile)
    # Few items per block cost calls, few blocks cost randomness in the order of an epoch.
    wanted = max(LEAST_ITEMS, min(-(-LEAST_BYTES // item_bytes), math.prod(scan) // 64))
    wanted = min(wanted, MOST_BYTES // item_bytes)
    for axis in reversed(range(len(scan))):
        items = math.prod(tile)
        most = max(1, MOST_BYTES // (items * item_bytes))
        times = min(-(-wanted // items), -(-scan[axis] // tile[axis]), most)
        tile[axis] *= max(1, times)
    return tuple(min(t, s) for t, s in zip(tile, scan, strict=True))


def cells(rows: np.ndarray, scan: Grid, cell: Grid) -> list[np.ndarray]:
    """Groups rows (flat scan positions, ascending) by the cell of a grid they lie in.

    Returns:
        For each cell that is hit, in order, the places in ``rows`` that belong to it, ascending.
    """
    if len(rows) == 0:
        return []
    if len(scan) == 1:  # ascending rows lie in ascending cells
        numbers = rows // cell[0]
        if numbers[0] == numbers[-1]:
            return [np.arange(len(rows))]
        return np.split(np.arange(len(rows)), np.flatnonzero(np.diff(numbers)) + 1)
    coordinates = np.unravel_index(rows, scan)
    counts = tuple(-(-s // c) for s, c in zip(scan, cell, strict=True))
    numbers = np.ravel_multi_index(tuple(x // c for x, c in zip(coordinates, cell, strict=True)), counts)
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def blocks_of(scan: Grid, tile: Grid) -> list[np.ndarray]:
    """The flat positions of each tile, ascending; together they are every position once."""
    return cells(np.arange(math.prod(scan)), scan, tile)


def box_of(rows: np.ndarray, scan: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bounding box of rows: their coordinates (axes, n), the lowest corner, and the box's shape."""
    coordinates = np.stack(np.unravel_index(rows, scan))
    low = coordinates.min(axis=1)
    return coordinates, low, coordinates.max(axis=1) + 1 - low
