"""Storage layouts that make reading slow, said in one line."""

from __future__ import annotations

import math

import h5py

LEAST_BYTES = 1 << 26
"""Smaller arrays are read in a moment, however they are stored."""
LARGE_BYTES = 1 << 25
SMALL_BYTES = 1 << 12


def pathology(dataset: h5py.Dataset) -> str | None:
    """What is wrong with the chunks of an array of patterns (its last two axes), ``None`` if nothing is."""
    chunk, image = dataset.chunks, dataset.shape[-2:]
    if chunk is None or math.prod(dataset.shape) * dataset.dtype.itemsize < LEAST_BYTES:
        return None
    patterns = math.prod(min(c, n) for c, n in zip(chunk[:-2], dataset.shape[:-2], strict=True))
    pieces = math.prod(-(-n // c) for n, c in zip(image, chunk[-2:], strict=True))
    nbytes = math.prod(chunk) * dataset.dtype.itemsize
    together = patterns * math.prod(image) * dataset.dtype.itemsize
    if nbytes > LARGE_BYTES:
        return f"its chunks {chunk} are large: {nbytes / 1e6:.0f} MB are decoded to read one pattern"
    if pieces > 1 and together > LARGE_BYTES:
        return (
            f"its chunks {chunk} cut each pattern into {pieces} pieces, those of {patterns:,} patterns together: "
            f"{together / 1e6:.0f} MB are decoded to read one"
        )
    if nbytes < SMALL_BYTES:
        return f"its chunks {chunk} are small: {nbytes} bytes each, {pieces} to a pattern"
    return None
