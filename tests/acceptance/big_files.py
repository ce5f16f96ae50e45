"""Scans of any nominal size that take next to no disk space and hardly any time to write."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

Kind = Literal["virtual", "chunked", "contiguous"]

NAME = "patterns"
SIDE = 256
PATTERNS = 128
"""Different patterns in a scan: those of the sample, spread over more pixels."""
RUN = 16
"""Patterns one after the other that are stored or not, and in a chunk."""
EVERY: dict[Kind, int] = {"virtual": 1, "chunked": 15, "contiguous": 511}
"""Of how many runs the first is stored; the others read as 0. Odd, so that all patterns have their turn."""


def sparse_scan(path: Path, gigabytes: float, *, kind: Kind) -> int:
    """Writes a uint16 dataset ``patterns`` (n, 256, 256) of a nominal size (1 GB = 1e9 bytes), and returns n.

    Args:
        path: the file; ``virtual`` writes a second one beside it.
        gigabytes: what the patterns would take uncompressed.
        kind: ``virtual`` takes 128 compressed patterns again and again; ``chunked`` is of gzip chunks of 16 patterns,
            of which only some are allocated; ``contiguous`` is of a file with holes.
    """
    count = max(RUN, round(gigabytes * 1e9 / (SIDE * SIDE * 2)))
    {"virtual": _virtual, "chunked": _chunked, "contiguous": _contiguous}[kind](path, count)
    return count


def expected(items: np.ndarray, *, kind: Kind) -> np.ndarray:
    """What the patterns ``items`` of such a scan hold, (len(items), 256, 256)."""
    stored = items // RUN % EVERY[kind] == 0
    return several()[items % PATTERNS] * stored[:, None, None].astype(np.uint16)


def sample() -> np.ndarray:
    """Every tenth pattern of the bundled scan, (128, 64, 64)."""
    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5"), "r") as file:
        return file["patterns"][: 10 * PATTERNS : 10]


def several() -> np.ndarray:
    """128 patterns of the sample (128, 256, 256), each of its pixels' counts in one of the 4 x 4 that it becomes."""
    small = sample()
    row, column = np.random.default_rng(0).integers(4, size=(2, *small.shape))
    patterns, rows, columns = np.indices(small.shape, sparse=True)
    large = np.zeros((PATTERNS, SIDE, SIDE), np.uint16)
    large[patterns, 4 * rows + row, 4 * columns + column] = small
    return large


def _virtual(path: Path, count: int) -> None:
    source = path.with_name(f"{path.stem}_source.h5")
    with h5py.File(source, "w") as file:
        file.create_dataset(NAME, data=several(), **_packed())
    layout = h5py.VirtualLayout((count, SIDE, SIDE), np.uint16)
    for start in range(0, count, PATTERNS):
        taken = h5py.VirtualSource(source.name, NAME, (PATTERNS, SIDE, SIDE))
        layout[start : start + PATTERNS] = taken[: min(PATTERNS, count - start)]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset(NAME, layout)


def _chunked(path: Path, count: int) -> None:
    patterns = several()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(NAME, (count, SIDE, SIDE), np.uint16, **_packed())
        packed: dict[int, bytes] = {}
        for start in range(0, count, RUN * EVERY["chunked"]):
            if (first := start % PATTERNS) in packed:
                dataset.id.write_direct_chunk((start, 0, 0), packed[first])
            elif start + RUN <= count:
                dataset[start : start + RUN] = patterns[first : first + RUN]
                packed[first] = dataset.id.read_direct_chunk((start, 0, 0))[1]
            else:
                dataset[start:] = patterns[first : first + count - start]


def _contiguous(path: Path, count: int) -> None:
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # what is not written stays a hole
    patterns = several()
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((count, SIDE, SIDE))
        dataset = h5py.Dataset(h5py.h5d.create(file.id, NAME.encode(), h5py.h5t.STD_U16LE, space, create))
        for start in range(0, count, RUN * EVERY["contiguous"]):
            first, some = start % PATTERNS, min(RUN, count - start)
            dataset[start : start + some] = patterns[first : first + some]


def _packed() -> dict[str, object]:
    return {"chunks": (RUN, SIDE, SIDE), "compression": "gzip", "compression_opts": 1, "shuffle": True}
