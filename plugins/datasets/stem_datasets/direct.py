"""Arrays in HDF5 files read past HDF5, by several threads at once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from stem_datasets.chunk_table import ChunkTable, chunk_table
from stem_datasets.filters import Damaged, Decoder, decoder_of
from stem_datasets.handles import Handles
from stem_datasets.tiles import Grid, cells

MOST_PIECES = 256
TOGETHER_BYTES = 1 << 24
"""Most bytes that are read at once where chunks lie one behind the other."""


class Contiguous:
    """Rows of an array that lies in one piece.

    Args:
        handles: opens the file.
        path: the file.
        dataset: the array; its leading axes count rows, the last two are an image.
        offset: its first byte in the file.
    """

    def __init__(self, handles: Handles, path: Path, dataset: h5py.Dataset, offset: int) -> None:
        self._handles, self._path, self._offset = handles, path, offset
        self._dtype, self._image = dataset.dtype, dataset.shape[-2:]
        self._row = math.prod(self._image) * self._dtype.itemsize

    single = True
    """Whether each row is stored by itself."""

    def read_rows(self, rows: np.ndarray, out: Sequence[np.ndarray]) -> None:
        """Reads ``rows`` (ascending, none twice), each into an array (height, width) of the stored type."""
        starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        with self._handles.descriptor(self._path) as file:
            for first, last in pairwise(starts):
                for low in range(first, last, MOST_PIECES):
                    pieces = [row.reshape(-1).view(np.uint8) for row in out[low : min(low + MOST_PIECES, last)]]
                    read_pieces_at(file, self._offset + int(rows[low]) * self._row, pieces)

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads ``rows`` (ascending, none twice) into ``out`` (len(rows), height, width)."""
        native = out.dtype == self._dtype and out.flags.c_contiguous
        starts = np.concatenate([[0], np.flatnonzero(np.diff(rows) != 1) + 1, [len(rows)]]).tolist()
        with self._handles.descriptor(self._path) as file:
            for first, last in pairwise(starts):
                count = last - first
                raw = (
                    out[first:last].reshape(-1).view(np.uint8)
                    if native
                    else self._handles.scratch.take("raw", count * self._row)
                )
                read_at(file, self._offset + int(rows[first]) * self._row, raw)
                if not native:
                    out[first:last] = raw.view(self._dtype).reshape(count, *self._image)


class Chunked:
    """Rows of an array that lies in chunks.

    Args:
        handles: opens the file.
        path: the file.
        dataset: the array; its leading axes count rows, the last two are an image.
        decoder: undoes its filters.
        table: where its chunks are.
    """

    def __init__(
        self, handles: Handles, path: Path, dataset: h5py.Dataset, decoder: Decoder, table: ChunkTable
    ) -> None:
        self._handles, self._path, self._decoder, self._table = handles, path, decoder, table
        self._dtype, self._fill = dataset.dtype, dataset.fillvalue
        self._chunk: Grid = dataset.chunks
        self._lead: Grid = dataset.shape[:-2]
        self._image: Grid = dataset.shape[-2:]
        self._pieces = math.prod(table.grid[-2:])

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads ``rows`` (ascending, none twice) into ``out`` (len(rows), height, width); every chunk once."""
        groups = cells(rows, self._lead, self._chunk[:-2])
        # Each cell of the scan has the chunks of all pieces of the detector, one number after another.
        numbers = self._cell(rows[[places[0] for places in groups]])[:, None] * self._pieces + np.arange(self._pieces)
        with self._handles.descriptor(self._path) as file:
            raw = self._raw(file, numbers.reshape(-1))
            for places, at, group in zip(groups, numbers.tolist(), range(len(groups)), strict=True):
                for piece, number in enumerate(at):
                    self._one(raw[group * self._pieces + piece], number, piece, rows[places], places, out)

    @property
    def single(self) -> bool:
        """Whether each row is stored by itself."""
        return math.prod(self._chunk[:-2]) == 1 and self._chunk[-2:] == self._image

    def read_rows(self, rows: np.ndarray, out: Sequence[np.ndarray]) -> None:
        """Reads ``rows`` (ascending, none twice), each into an array (height, width) of the stored type."""
        numbers = self._cell(rows)
        spare = self._handles.scratch.take("spare", self._decoder.nbytes)
        with self._handles.descriptor(self._path) as file:
            for raw, number, row in zip(self._raw(file, numbers), numbers.tolist(), out, strict=True):
                if raw is None:
                    row[...] = self._fill
                else:
                    target = row.reshape(-1).view(np.uint8)
                    self._decoder.decode(raw, int(self._table.skipped[number]), target, spare)

    def _cell(self, rows: np.ndarray) -> np.ndarray:
        """The cell of the scan that each row lies in, by its row-major number."""
        if len(self._lead) == 1:
            return rows // self._chunk[0]
        cell = tuple(x // c for x, c in zip(np.unravel_index(rows, self._lead), self._chunk[:-2], strict=True))
        return np.ravel_multi_index(cell, self._table.grid[:-2])

    def _raw(self, file: int, numbers: np.ndarray) -> list[np.ndarray | None]:
        """The stored bytes of some chunks, in one go where they lie close together."""
        offsets, sizes = self._table.offset[numbers], self._table.size[numbers]
        if len(numbers) == 1 and offsets[0] >= 0:
            memory = self._handles.scratch.take("raw", int(sizes[0]))
            read_at(file, int(offsets[0]), memory)
            return [memory]
        there = offsets >= 0
        if not there.any():
            return [None] * len(numbers)
        low, high = int(offsets[there].min()), int((offsets + sizes)[there].max())
        total = int(sizes[there].sum())
        if high - low > min(TOGETHER_BYTES, 2 * total) and there.sum() > 1:
            memory = self._handles.scratch.take("raw", total)
            starts = np.concatenate([[0], np.cumsum(np.where(there, sizes, 0))[:-1]]).tolist()
            parts = [memory[s : s + n] for s, n in zip(starts, sizes.tolist(), strict=True)]
            for part, offset, exists in zip(parts, offsets.tolist(), there.tolist(), strict=True):
                if exists:
                    read_at(file, offset, part)
        else:
            memory = self._handles.scratch.take("raw", high - low)
            read_at(file, low, memory)
            parts = [memory[o - low : o - low + n] for o, n in zip(offsets.tolist(), sizes.tolist(), strict=True)]
        return [part if exists else None for part, exists in zip(parts, there.tolist(), strict=True)]

    def _one(
        self, raw: np.ndarray | None, number: int, piece: int, rows: np.ndarray, places: np.ndarray, out: np.ndarray
    ) -> None:
        """Decodes one chunk and takes the rows from it."""
        top, left = np.unravel_index(piece, self._table.grid[-2:])
        height, width = self._chunk[-2:]
        y, x = int(top) * height, int(left) * width
        window = slice(y, min(y + height, self._image[0])), slice(x, min(x + width, self._image[1]))
        if raw is None:
            out[(places, *window)] = self._fill
            return
        scratch = self._handles.scratch
        count = len(places)
        together = int(places[-1]) - int(places[0]) + 1 == count
        whole = count == math.prod(self._chunk[:-2]) and self._chunk[-2:] == self._image
        spare = scratch.take("spare", self._decoder.nbytes)
        skipped = int(self._table.skipped[number])
        if together and whole and out.dtype == self._dtype and out.flags.c_contiguous:
            target = out[places[0] : places[0] + count].reshape(-1).view(np.uint8)
            self._decoder.decode(raw, skipped, target, spare)
            return
        target = scratch.take("chunk", self._decoder.nbytes)
        self._decoder.decode(raw, skipped, target, spare)
        values = target.view(self._dtype).reshape(-1, height, width)
        inside = tuple(a % c for a, c in zip(np.unravel_index(rows, self._lead), self._chunk[:-2], strict=True))
        local = np.ravel_multi_index(inside, self._chunk[:-2])
        part = values[:, : window[0].stop - y, : window[1].stop - x]
        for place, source in zip(places.tolist(), local.tolist(), strict=True):
            out[(place, *window)] = part[source]


def direct_reader(handles: Handles, path: Path, dataset: h5py.Dataset) -> Contiguous | Chunked | None:
    """A reader that needs no HDF5, or ``None`` where only HDF5 can read the array: unusual filters, types or drivers,
    virtual and external storage."""
    if not hasattr(os, "preadv") or dataset.file.driver != "sec2" or dataset.is_virtual or dataset.external:
        return None
    if not _plain(dataset):
        return None
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is None or not _begins_there(handles, path, dataset, offset):
            return None
        return Contiguous(handles, path, dataset, offset)
    decoder = decoder_of(dataset)
    if decoder is None or not hasattr(dataset.id, "chunk_iter"):
        return None
    table = chunk_table(dataset)
    return Chunked(handles, path, dataset, decoder, table) if _lies_there(handles, path, dataset, table) else None


def read_pieces_at(file: int, offset: int, pieces: list[np.ndarray]) -> None:
    """Fills arrays (n,), uint8, one behind the other, from byte ``offset`` of a file. Raises as :func:`read_at`."""
    total = sum(len(piece) for piece in pieces)
    if os.preadv(file, pieces, offset) != total:  # type: ignore[arg-type]
        for piece in pieces:  # the system gave less than was asked for: again, piece by piece
            read_at(file, offset, piece)
            offset += len(piece)


def read_at(file: int, offset: int, out: np.ndarray) -> None:
    """Fills ``out`` (n,), uint8, from byte ``offset`` of a file.

    Raises:
        Damaged: if the file ends before.
        OSError: as the system does.
    """
    done, view = 0, memoryview(out)
    while done < len(view):
        count = os.preadv(file, [view[done:]], offset + done)
        if count == 0:
            raise Damaged(f"the file ends at byte {os.fstat(file).st_size:,}: it was truncated")
        done += count


def _plain(dataset: h5py.Dataset) -> bool:
    """Whether values are stored as NumPy would hold them: HDF5 also knows integers of 12 bits in 16."""
    stored = dataset.id.get_type()
    if dataset.dtype.kind == "b":
        return bool(stored.get_size() == 1)
    return bool(stored == h5py.h5t.py_create(dataset.dtype))


def _begins_there(handles: Handles, path: Path, dataset: h5py.Dataset, offset: int) -> bool:
    line = np.asarray(dataset[(0,) * (dataset.ndim - 1)], dataset.dtype)
    return _same(handles, path, offset, line.tobytes())


def _lies_there(handles: Handles, path: Path, dataset: h5py.Dataset, table: ChunkTable) -> bool:
    """Whether the first chunk is where the table says: offsets of files with a user block differ between versions."""
    there = np.flatnonzero(table.offset >= 0)
    if not len(there):
        return True
    cell = np.unravel_index(there[0], table.grid)
    _, raw = dataset.id.read_direct_chunk(tuple(int(i) * c for i, c in zip(cell, dataset.chunks, strict=True)))
    return _same(handles, path, int(table.offset[there[0]]), raw)


def _same(handles: Handles, path: Path, offset: int, expected: bytes) -> bool:
    found = np.empty(len(expected), np.uint8)
    try:
        with handles.descriptor(path) as file:
            read_at(file, offset, found)
    except (Damaged, OSError):
        return False
    return found.tobytes() == expected
