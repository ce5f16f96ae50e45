"""Cutting a scan into the slabs in which it is rewritten, and into the chunks that it gets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

from stem_datasets.tiles import LEAST_ITEMS, Grid

CHUNK_BYTES = 1 << 20
SLAB_BYTES = 1 << 25
MOST_SLAB_BYTES = 1 << 29

Box = tuple[slice, ...]


def lead_of(shape: Grid) -> Grid:
    """The axes that count items: all but the last two of patterns, the first of anything less."""
    return shape[:-2] if len(shape) > 2 else shape[:1]


def chunk_of(lead: Grid, item_bytes: int, items: int | None = None) -> Grid:
    """Items along each axis of a chunk: whole patterns within a line of the scan, of even size, about half a megabyte
    to one, but at least 64 chunks to a scan where that leaves 16 patterns to each. Chunks go over several lines only
    where a line has fewer bytes.

    Args:
        lead: positions along each axis.
        item_bytes: bytes of one decoded pattern.
        items: patterns of a chunk, where the user says so.
    """
    wanted = items or max(1, min(CHUNK_BYTES // item_bytes, max(LEAST_ITEMS, math.prod(lead) // 64)))
    chunk = [1] * len(lead)
    for axis in reversed(range(len(lead))):
        if wanted < lead[axis]:
            pieces = -(-lead[axis] // wanted)
            chunk[axis] = wanted if items else -(-lead[axis] // pieces)
            break
        chunk[axis] = lead[axis]
        wanted //= lead[axis]
    return tuple(chunk)


def slab_of(lead: Grid, stored: Grid, chunk: Grid, item_bytes: int, most: int = MOST_SLAB_BYTES) -> Grid:
    """Items along each axis that are read together: whole stored chunks, so that each is decoded once, and whole new
    ones, so that each is compressed once, in about 32 MB where that can be. Where one stored chunk and what lies
    beside it on the detector exceed ``most`` bytes, it is decoded several times, in favour of memory.

    Args:
        lead: positions along each axis.
        stored: items along each axis of a chunk as stored.
        chunk: items along each axis of a new chunk.
        item_bytes: bytes of one decoded pattern.
        most: bytes of a slab, unless a single pattern has more.
    """
    slab = [min(s, n) for s, n in zip(stored, lead, strict=True)]

    def size() -> int:
        return math.prod(slab) * item_bytes

    for axis in range(len(lead)):
        if size() > most:
            slab[axis] = max(1, most * slab[axis] // size())
    for axis in reversed(range(len(lead))):
        before = slab[axis]
        slab[axis] = min(math.lcm(before, chunk[axis]), lead[axis])
        if size() > most:
            slab[axis] = before
    for axis in reversed(range(len(lead))):
        slab[axis] = min(slab[axis] * max(1, min(SLAB_BYTES, most) // size()), lead[axis])
    return tuple(slab)


def pieces(box: Box, step: Grid) -> Iterator[Box]:
    """The cells of a grid that begins at 0 along each axis, as far as they lie in a box, row by row."""
    axes = [range(side.start // n * n, side.stop, n) for side, n in zip(box, step, strict=True)]
    for corner in product(*axes):
        sides = zip(corner, step, box, strict=True)
        yield tuple(slice(max(c, side.start), min(c + n, side.stop)) for c, n, side in sides)


def whole(shape: Grid) -> Box:
    """The box that is all of a shape."""
    return tuple(slice(0, n) for n in shape)


def extent(box: Box) -> Grid:
    """The shape of a box."""
    return tuple(part.stop - part.start for part in box)
