"""Arrays in HDF5 files, read item by item in storage order."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import h5py
import numpy as np

from stem_datasets.direct import Chunked, Contiguous, direct_reader
from stem_datasets.filters import Damaged
from stem_datasets.handles import Handles, errno_of
from stem_datasets.linked import Linked
from stem_datasets.lookup import find
from stem_datasets.tiles import Grid, blocks_of, box_of, cells, tile_of
from stem_datasets.virtual import segments
from stemcore import UserError

Reader = Chunked | Contiguous | Linked


class StoredArray:
    """An HDF5 dataset whose leading axes count items and whose last two are an image.

    Attributes:
        lead: positions along the item axes: (n,) or, for a scan, (rows, columns).
        image: (height, width) of an item.
        dtype: the stored type in native byte order.

    Args:
        handles: opens the file.
        path: the file.
        name: the dataset within it.
        role: what the recipe calls it.

    Raises:
        UserError: if it is missing, is not numbers, or has neither three nor four axes.
    """

    def __init__(self, handles: Handles, path: Path, name: str, role: str = "dataset") -> None:
        self._handles, self.path, self.name, self.role = handles, path, name, role
        dataset = find(handles.file(path), path, name, role)
        if dataset.ndim not in (3, 4):
            raise UserError(
                f"{role} '{name}' has shape {dataset.shape}",
                where=str(path),
                hint="right are (patterns, height, width) and (scan rows, scan columns, height, width)",
            )
        self.shape: tuple[int, ...] = dataset.shape
        self.lead, self.image = dataset.shape[:-2], dataset.shape[-2:]
        self.dtype: np.dtype = dataset.dtype.newbyteorder("=")
        self._native = dataset.dtype.isnative and dataset.dtype.kind != "b"
        self.item_bytes = math.prod(self.image) * self.dtype.itemsize
        stored_chunk: Grid | None = dataset.chunks
        self.chunk: Grid | None = None if stored_chunk is None else stored_chunk[:-2]
        self.tile = tile_of(self.lead, self.chunk, self.item_bytes)
        parts = segments(dataset) if dataset.is_virtual else None
        self._linked = (
            None if parts is None else Linked(handles, parts, partial(StoredArray, handles), dataset.fillvalue)
        )

    @cached_property
    def _direct(self) -> Reader | None:
        """What reads past HDF5, made when something is read: the table of a million chunks takes seconds."""
        if self._linked is not None:
            return self._linked
        with self._handles.lock:
            return direct_reader(self._handles, self.path, self._dataset())

    def __len__(self) -> int:
        return math.prod(self.lead)

    def blocks(self) -> list[np.ndarray]:
        """Rows that are cheap to read together."""
        if self._linked is not None:
            return self._linked.blocks(self.item_bytes)
        return blocks_of(self.lead, self.tile)

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads ``rows`` (ascending, none twice) into ``out`` (len(rows), height, width), which may have a wider type.

        Raises:
            UserError: naming the first pattern that cannot be read.
        """
        if not len(rows):
            return
        if self._direct is None:
            with self._handles.lock:
                self._read_by_hdf5(rows, out)
            return
        try:
            self._direct.read(rows, out)
        except Damaged:
            self._read_directly_by_chunk(rows, out)

    def read_rows(self, rows: np.ndarray, out: Sequence[np.ndarray]) -> bool:
        """Reads ``rows`` (ascending, none twice), each into an array (height, width) of its own, in the stored type;
        ``False``, with nothing read, where rows are not stored one by one.

        Raises:
            UserError: naming the first pattern that cannot be read.
        """
        direct = self._direct
        if not isinstance(direct, Chunked | Contiguous) or not direct.single or not self._native:
            return False
        try:
            direct.read_rows(rows, out)
        except Damaged:
            self._read_directly_by_chunk(rows, np.empty((len(rows), *self.image), self.dtype))
            raise
        return True

    def unreadable(self) -> np.ndarray:
        """The rows whose storage cannot be decoded, found by decoding everything once."""
        bad = []
        for rows in self.blocks():
            if self._fails(rows):
                bad += [rows[part] for part in self._by_chunk(rows) if self._fails(rows[part])]
        return np.concatenate(bad) if bad else np.empty(0, np.int64)

    def _read_directly_by_chunk(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads chunk by chunk, to find the one that is damaged."""
        assert self._direct is not None
        for part in self._by_chunk(rows):
            values = np.empty((len(part), *self.image), out.dtype)
            try:
                self._direct.read(rows[part], values)
            except Damaged as error:
                raise self._unreadable(int(rows[part[0]]), error) from error
            out[part] = values

    def _read_by_hdf5(self, rows: np.ndarray, out: np.ndarray) -> None:
        dataset = self._dataset()
        for places in cells(rows, self.lead, self.tile):
            for part in self._parts(rows, places):
                try:
                    self._read_box(dataset, rows, part, out)
                except (OSError, RuntimeError):
                    self._read_chunks(dataset, rows, part, out)

    def _dataset(self) -> h5py.Dataset:
        return self._handles.dataset(self.path, self.name)

    def _by_chunk(self, rows: np.ndarray) -> list[np.ndarray]:
        return cells(rows, self.lead, self.chunk or (1,) * len(self.lead))

    def _parts(self, rows: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
        """The places of one tile's rows, apart by chunk where few of the tile's patterns are asked for."""
        shape = box_of(rows[places], self.lead)[2]
        if math.prod(shape) < 2 * len(places):
            yield places
        else:
            yield from (places[part] for part in self._by_chunk(rows[places]))

    def _read_box(self, dataset: h5py.Dataset, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Reads the bounding box of some rows in one call, and keeps of it what was asked for."""
        coordinates, low, extent = box_of(rows[places], self.lead)
        box = tuple(slice(int(a), int(a + n)) for a, n in zip(low, extent, strict=True))
        shape = (*map(int, extent), *self.image)
        together = places[-1] - places[0] + 1 == len(places) == math.prod(extent)
        if together and out.dtype == self.dtype and out.flags.c_contiguous:
            dataset.read_direct(out[places[0] : places[-1] + 1].reshape(shape), box)
            return
        buffer = np.empty(shape, self.dtype)
        dataset.read_direct(buffer, box)
        out[places] = buffer[tuple(coordinates - low[:, None])]

    def _read_chunks(self, dataset: h5py.Dataset, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Reads chunk by chunk, as a box may cover a damaged chunk of which nothing was asked for."""
        for part in self._by_chunk(rows[places]):
            try:
                self._read_box(dataset, rows, places[part], out)
            except (OSError, RuntimeError) as error:
                number = errno_of(error)
                if number is not None:
                    raise OSError(number, os.strerror(number), str(self.path)) from error
                raise self._unreadable(int(rows[places[part[0]]]), error) from error

    def _fails(self, rows: np.ndarray) -> bool:
        try:
            self.read(rows, np.empty((len(rows), *self.image), self.dtype))
        except UserError:
            return True
        return False

    def _unreadable(self, row: int, error: Exception) -> UserError:
        chunk = ""
        if self.chunk is not None:
            position = np.unravel_index(row, self.lead)
            chunk = f" (chunk {', '.join(str(int(p) // c) for p, c in zip(position, self.chunk, strict=True))})"
        way_out = ", or leave such patterns out with 'skip_unreadable: true'" if self.role == "dataset" else ""
        return UserError(
            f"pattern {row}{chunk} of {self.role} '{self.name}' cannot be read: {str(error).splitlines()[0]}",
            where=str(self.path),
            hint=f"copy the file again{way_out}",
        )
