"""Files for the benchmarks of reading: the bundled scan, repeated, in the layouts that detectors and programs write."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

SLAB = 256


def sample() -> np.ndarray:
    """The noisy patterns of the bundled scan, uint16."""
    with as_file(files("stem_datasets") / "samples" / "ws2_wse2_32.h5") as path, h5py.File(path) as file:
        patterns: np.ndarray = file["patterns"][()]
        return patterns


def slabs(count: int, size: int, *, dense: bool) -> Iterator[np.ndarray]:
    """Patterns (SLAB, size, size) with the statistics of counted electrons, no two alike: those of the bundled scan
    enlarged, and counted anew at a low dose (most pixels 0 or 1) or at a high one (hundreds in most)."""
    base = sample().astype(np.float32)
    times = size // base.shape[-1]
    rng = np.random.default_rng(0)
    for start in range(0, count, SLAB):
        chosen = base[np.arange(start, min(start + SLAB, count)) % len(base)]
        large = np.kron(chosen, np.ones((1, times, times), np.float32)) / times**2
        rate = large * 40 + 120 if dense else large
        yield rng.poisson(rate).astype(np.uint16)


def write(path: Path, count: int, size: int, *, dense: bool, chunks: tuple[int, ...] | None, **filters: object) -> Path:
    """A file of ``count`` patterns in dataset ``patterns``, (count, size, size), or (rows, 64, size, size) where the
    chunks have four axes."""
    scan = (count // 64, 64) if chunks is not None and len(chunks) == 4 else (count,)
    whole = np.empty((count, size, size), np.uint16)
    for number, slab in enumerate(slabs(count, size, dense=dense)):
        whole[number * SLAB : number * SLAB + len(slab)] = slab
    with h5py.File(path, "w") as file:
        file.create_dataset("patterns", data=whole.reshape(*scan, size, size), chunks=chunks, **filters)
    return path


GZIP = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
BITSHUFFLE = dict(hdf5plugin.Bitshuffle(cname="lz4"))
