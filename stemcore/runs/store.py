"""Rows of a result in whole chunks of an HDF5 file, or in memory, shaped to the scan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcore.errors import UserError
from stemcore.runs.layout import Layout
from stemcore.runs.storage import OutputFile, Storage, check_space

PENDING_BYTES = 256e6


@dataclass
class Pending:
    """A chunk that is not complete."""

    rows: np.ndarray
    there: np.ndarray


@dataclass
class RowWriter:
    """Writes one row per item to an HDF5 dataset, each chunk once, whatever tiles of the scan the rows come in.

    Rows wait in memory until their chunk is complete: HDF5 would decompress and compress a chunk again for each part of
    it. Where that takes more than ``pending_bytes``, the chunk that waited longest is written as far as it is there.

    Args:
        file: new; closed by ``close``.
        name: of the dataset.
        items: number of rows.
        row: shape of a row.
        scan_shape: leading axes in place of the items', if their product is the number of items.
        attributes: of the dataset.
        storage: type and compression.
        pending_bytes: memory for chunks that are not complete.

    Raises:
        UserError: if the rows cannot fit on the disk.
    """

    file: OutputFile
    name: str
    items: int
    row: tuple[int, ...]
    scan_shape: tuple[int, ...] | None
    attributes: Mapping[str, Any]
    storage: Storage = field(default_factory=Storage)
    pending_bytes: float = PENDING_BYTES

    def __post_init__(self) -> None:
        item = np.dtype(self.storage.dtype).itemsize
        self.layout = Layout.of(self.items, self.row, self.scan_shape, item)
        try:
            self.data = self._created(item)
        except BaseException:
            self.close()
            raise
        self.written = 0
        self._pending: dict[int, Pending] = {}
        self._missing: dict[int, int] = {}
        self._free: list[Pending] = []
        self._most = max(1, int(self.pending_bytes // max(1, item * self.layout.slots * math.prod(self.row))))

    def write(self, items: np.ndarray, rows: np.ndarray) -> None:
        """Takes the rows (n, *row) of the items ``items`` (n,), each of which comes once.

        Raises:
            UserError: if a value is beyond what the type can hold.
            OSError: if the disk is full or fails.
        """
        if self.storage.dtype == "float16" and np.isinf(rows).any():
            raise UserError("a value is beyond 65504, the largest of float16", where="dtype", hint="store float32")
        keys, slots = self.layout.place(items)
        edges = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)]
        for first, last in pairwise(edges):
            if last > first:
                self._take(int(keys[first]), slots[first:last], rows[first:last])
        self.written += len(items)

    def finish(self) -> None:
        """Writes what is left, and closes the file.

        Raises:
            OSError: if the disk is full or fails.
            RuntimeError: if an item never came.
        """
        for key in list(self._pending):
            self._spill(key)
        if self.written != self.items:
            raise RuntimeError(f"{self.written} of {self.items} items were written to '{self.name}'")
        self.close()
        self.file.check()

    def _created(self, item: int) -> h5py.Dataset:
        if self.storage.compression == "none":
            check_space(self.file.folder, item * self.items * math.prod(self.row), self.name)
        data = self.file.h5.create_dataset(
            self.name,
            (*self.layout.lead, *self.row),
            dtype=self.storage.dtype,
            chunks=(*self.layout.chunks, *self.row),
            **self.storage.filters(),
        )
        data.attrs.update(self.attributes)
        return data

    def _take(self, key: int, slots: np.ndarray, rows: np.ndarray) -> None:
        missing = self._missing.pop(key, None)
        whole = missing is None and len(rows) == self.layout.count(key)
        if whole and slots[-1] - slots[0] + 1 == len(slots) and (np.diff(slots) == 1).all():
            self._store(self.layout.region(key), rows)
            return
        if key not in self._pending:
            self._pending[key] = self._free.pop() if self._free else self._fresh()
        pending = self._pending[key]
        pending.rows[slots] = rows
        pending.there[slots] = True
        missing = (self.layout.count(key) if missing is None else missing) - len(rows)
        if missing == 0:
            self._spill(key)
            return
        self._missing[key] = missing
        if len(self._pending) > self._most:
            self._spill(next(iter(self._pending)))

    def _fresh(self) -> Pending:
        slots = self.layout.slots
        return Pending(np.empty((slots, *self.row), self.storage.dtype), np.zeros(slots, bool))

    def _spill(self, key: int) -> None:
        """Writes what is there of a chunk: all of it at once, or each stretch of its lines."""
        pending = self._pending.pop(key)
        used = self.layout.used(key)
        if pending.there[used].all():
            self._store(self.layout.region(key), pending.rows[used])
        else:
            for region, part in self.layout.stretches(key, pending.there):
                self._store(region, pending.rows[part])
        pending.there[:] = False
        self._free.append(pending)

    def _store(self, region: tuple[slice, ...], rows: np.ndarray) -> None:
        shape = tuple(s.stop - s.start for s in region)
        self.data[region] = rows.reshape(*shape, *self.row)
        self.file.check()

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


@dataclass
class RowArray:
    """Keeps one row per item in one array of the final size.

    Args:
        items: number of rows.
        scan_shape: leading axes in place of the items', if their product is the number of items.
    """

    items: int
    scan_shape: tuple[int, ...] | None

    def __post_init__(self) -> None:
        self._rows: np.ndarray | None = None
        self._written = 0

    def write(self, items: np.ndarray, rows: np.ndarray) -> None:
        """Takes the rows (n, ...) of the items ``items`` (n,)."""
        if self._rows is None:
            self._rows = np.empty((self.items, *rows.shape[1:]), rows.dtype)
        self._rows[items] = rows
        self._written += len(items)

    def finish(self) -> None:
        """Checks that all are there.

        Raises:
            RuntimeError: if an item never came.
        """
        if self._written != self.items:
            raise RuntimeError(f"{self._written} of {self.items} items were computed")

    def close(self) -> None:
        """Lets go of nothing: the rows are what is wanted."""

    @property
    def shaped(self) -> np.ndarray:
        """All rows, shaped to the scan where there is one."""
        assert self._rows is not None
        lead = self.scan_shape
        fits = lead is not None and math.prod(lead) == self.items
        return self._rows.reshape(*lead, *self._rows.shape[1:]) if fits and lead is not None else self._rows


def save_npz(path: Path, latents: np.ndarray) -> None:
    """Writes ``latents`` of an ``.npz``."""
    with path.open("wb") as f:  # a file object: savez would append .npz to a temporary name
        np.savez_compressed(f, latents=latents)
