"""Chunks that make a scan slow to read."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import h5py
from rich.filesize import decimal

from stem_datasets.slabs import CHUNK_BYTES, lead_of

MOST_CHUNK = 1 << 25
MOST_OF_WHOLE_SCAN = 1 << 22
LEAST_CHUNK = 1 << 12
MANY_ITEMS = 16


def pathology(dataset: h5py.Dataset) -> str | None:
    """What is wrong with the chunks of an array of patterns, in one line that ends with the command that mends it.

    Wrong are: more than 32 MB in a chunk that holds more than one pattern; one chunk over all patterns (4 MB and
    more); 16 patterns and more in chunks that cut the detector into pieces; and, in an array of 1 MB and more, chunks
    under 4 KB. An array without chunks of its own is never wrong.

    Args:
        dataset: (n, h, w) or (rows, columns, h, w).
    """
    fault = fault_of(dataset.shape, dataset.chunks, dataset.dtype.itemsize)
    if fault is None:
        return None
    path = Path(dataset.file.filename)
    paths = shlex.join(map(str, (path, path.with_name(f"{path.stem}-rewritten{path.suffix}"))))
    return f"its chunks {dataset.chunks} {fault}; to mend it: stem convert {paths}"


def fault_of(shape: tuple[int, ...], chunks: tuple[int, ...] | None, value_bytes: int) -> str | None:
    """What is wrong with chunks of that shape, ``None`` if nothing is.

    Args:
        shape: of the array.
        chunks: of a chunk; ``None`` where storage is contiguous.
        value_bytes: bytes of a decoded value.
    """
    if chunks is None or math.prod(shape) * value_bytes < CHUNK_BYTES:
        return None
    lead = lead_of(shape)
    detector, part = shape[len(lead) :], chunks[len(lead) :]
    items, size = math.prod(chunks[: len(lead)]), math.prod(chunks) * value_bytes
    pieces = math.prod(-(-n // c) for n, c in zip(detector, part, strict=True))
    to_read_one = f"of which all is decoded to read one pattern ({decimal(math.prod(detector) * value_bytes)})"
    if size > MOST_CHUNK and items > 1:
        beside = f" and cut the detector into {pieces} pieces" if pieces > 1 else ""
        return f"hold {decimal(size)} each{beside}, {to_read_one}"
    if items > 1 and size > MOST_OF_WHOLE_SCAN and all(c >= n for c, n in zip(chunks, lead, strict=False)):
        return f"hold the whole scan, {decimal(size)}, {to_read_one}"
    if pieces > 1 and items >= MANY_ITEMS:
        return f"cut the detector into {pieces} pieces of {items} patterns, {decimal(size * pieces)} {to_read_one}"
    if size < LEAST_CHUNK:
        count = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
        return f"hold {decimal(size)} each, and there are {count:,}: finding one takes longer than reading it"
    return None
