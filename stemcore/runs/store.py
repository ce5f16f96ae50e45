"""Writing rows of a result as they come, shaped to the scan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CHUNK_BYTES = 1 << 20


class RowWriter:
    """An HDF5 dataset of one row per item, laid out over the scan where there is one.

    Args:
        file: open for writing.
        name: of the dataset.
        items: number of rows.
        row: shape of a row.
        scan_shape: leading axes in place of the items', if their product is the number of items.
        attributes: of the dataset.
    """

    def __init__(
        self,
        file: h5py.File,
        name: str,
        items: int,
        row: tuple[int, ...],
        scan_shape: tuple[int, ...] | None,
        attributes: Mapping[str, Any],
    ) -> None:
        fits = scan_shape is not None and math.prod(scan_shape) == items
        self.lead = scan_shape if fits and scan_shape is not None else (items,)
        self.row = row
        line = self.lead[-1]
        per_chunk = max(1, min(line, CHUNK_BYTES // max(1, 4 * math.prod(row))))
        chunks = (*[1] * (len(self.lead) - 1), per_chunk, *row)
        self.data = file.create_dataset(name, (*self.lead, *row), dtype="float32", chunks=chunks)
        self.data.attrs.update(attributes)

    def write(self, index: np.ndarray, rows: np.ndarray) -> None:
        """Writes the rows of the items ``index``."""
        order = np.argsort(index)
        for first, run in _runs(index[order], self.lead[-1]):
            *outer, column = np.unravel_index(int(index[order][first]), self.lead)
            self.data[(*outer, slice(column, column + run))] = rows[order[first : first + run]].reshape(run, *self.row)


def _runs(index: np.ndarray, line: int) -> Iterator[tuple[int, int]]:
    """Start and length of each stretch of consecutive items within one line of the scan."""
    breaks = (np.diff(index) != 1) | (index[1:] % line == 0)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    for start, end in zip(starts, [*starts[1:], len(index)], strict=True):
        yield int(start), int(end - start)


def save_npz(path: Path, index: list[np.ndarray], rows: list[np.ndarray], scan_shape: tuple[int, ...] | None) -> None:
    """Writes latents as ``latents`` of an ``.npz``, shaped to the scan where there is one."""
    latents = np.concatenate(rows)[np.argsort(np.concatenate(index))]
    if scan_shape is not None and math.prod(scan_shape) == len(latents):
        latents = latents.reshape(*scan_shape, *latents.shape[1:])
    with path.open("wb") as f:  # a file object: savez would append .npz to a temporary name
        np.savez_compressed(f, latents=latents)
