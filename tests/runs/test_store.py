"""Rows written as they come, shaped to the scan, each chunk once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stemcore.errors import UserError
from stemcore.runs.storage import COMPRESSIONS, OutputFile, Storage
from stemcore.runs.store import RowArray, RowWriter, save_npz


class Counting(RowWriter):
    """Counts the writes to each chunk."""

    def _store(self, region: tuple[slice, ...], rows: np.ndarray) -> None:
        self.stores: list[tuple[slice, ...]]
        self.__dict__.setdefault("stores", []).append(region)
        super()._store(region, rows)


@contextmanager
def new(path: Path) -> Iterator[OutputFile]:
    """A new file."""
    file = OutputFile(path, path)
    yield file
    file.close()


def tiles(scan: tuple[int, int], tall: int, wide: int) -> list[np.ndarray]:
    """The items of a scan, tile by tile, those of a tile line by line."""
    numbers = np.arange(np.prod(scan)).reshape(scan)
    down, across = range(0, scan[0], tall), range(0, scan[1], wide)
    return [numbers[i : i + tall, j : j + wide].ravel() for i in down for j in across]


@pytest.mark.parametrize("scan", [None, (6, 7), (2, 3, 7), (5, 5)])
@pytest.mark.parametrize("row", [(3,), (1, 4, 5)])
@pytest.mark.parametrize("pending", [0, 1e9])
def test_rows_in_any_order_end_where_they_belong(
    tmp_path: Path, scan: tuple[int, ...] | None, row: tuple[int, ...], pending: float
) -> None:
    rows = np.random.default_rng(0).random((42, *row)).astype(np.float32)
    order = np.random.default_rng(1).permutation(42)
    with new(tmp_path / "out.h5") as file:
        writer = RowWriter(file, "rows", 42, row, scan, {"unit": "counts"}, pending_bytes=pending)
        for part in np.split(order, [5, 6, 30]):
            writer.write(part, rows[part])
        writer.finish()
    with h5py.File(tmp_path / "out.h5") as file:
        lead = scan if scan is not None and np.prod(scan) == 42 else (42,)
        assert file["rows"].shape == (*lead, *row)
        assert np.array_equal(file["rows"][:].reshape(rows.shape), rows)
        assert file["rows"].attrs["unit"] == "counts"


@pytest.mark.parametrize("pending", [0, 3e6, 1e9])
@pytest.mark.parametrize("tile", [(8, 8), (1, 5), (3, 100)])
@pytest.mark.parametrize("batch", [1, 37])
def test_tiles_of_a_scan_in_batches_that_do_not_match_them(
    tmp_path: Path, tile: tuple[int, int], pending: float, batch: int
) -> None:
    scan, row = (13, 21), (150, 151)  # 23 patterns, and so one line, to a chunk of 2 MB
    rows = np.arange(13 * 21, dtype=np.float32)[:, None, None] + np.zeros(row, np.float32)
    order = np.concatenate(tiles(scan, *tile))
    with new(tmp_path / "out.h5") as file:
        writer = Counting(file, "rows", len(order), row, scan, {}, pending_bytes=pending)
        for first in range(0, len(order), batch):
            part = order[first : first + batch]
            writer.write(part, rows[part])
        writer.finish()
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.array_equal(file["rows"][:].reshape(rows.shape), rows)
        assert file["rows"].id.get_num_chunks() == 13
        if pending == 1e9:
            assert len(writer.stores) == 13


def test_whole_chunks_are_written_as_they_come_and_buffers_used_again(tmp_path: Path) -> None:
    row, scan = (64, 64), (64, 64)  # two lines to a chunk: 8 MB of tiles of 8 lines are open
    patterns = np.random.default_rng(0).random((64, *row)).astype(np.float32)
    with new(tmp_path / "out.h5") as file:
        writer = RowWriter(file, "rows", 4096, row, scan, {})
        tracemalloc.start()
        for tile in tiles(scan, 8, 8):
            writer.write(tile, patterns)
        writer.finish()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 14e6  # of 67 MB


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_types_and_compressions(tmp_path: Path, dtype: str, compression: str) -> None:
    rows = np.random.default_rng(0).poisson(2.0, (300, 32, 33)).astype(dtype)
    with new(tmp_path / "out.h5") as file:
        writer = RowWriter(file, "rows", 300, (32, 33), (15, 20), {}, Storage(dtype, compression))
        writer.write(np.arange(300), rows)
        writer.finish()
    with h5py.File(tmp_path / "out.h5") as file:
        assert (file["rows"].id.get_storage_size() < rows.nbytes / 2) == (compression != "none")
        assert file["rows"].dtype == dtype
        assert np.array_equal(file["rows"][:].reshape(rows.shape), rows)


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"compression": "zip"}])
def test_unknown_storage_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="known: "):
        Storage(**options)


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    with new(tmp_path / "out.h5") as file:
        writer = RowWriter(file, "rows", 2, (2,), None, {}, Storage("float16"))
        with pytest.raises(UserError, match="65504"):
            writer.write(np.arange(2), np.array([[1, 2], [3, np.inf]], np.float16))


def test_more_than_is_free_on_the_disk_is_refused(tmp_path: Path) -> None:
    with new(tmp_path / "out.h5") as file, pytest.raises(UserError, match=r"GB of rows do not fit"):
        RowWriter(file, "rows", 10**9, (512, 512), None, {})


def test_rows_that_never_came_are_noticed(tmp_path: Path) -> None:
    with new(tmp_path / "out.h5") as file:
        writer = RowWriter(file, "rows", 9, (2,), (3, 3), {})
        writer.write(np.arange(8), np.zeros((8, 2), np.float32))
        with pytest.raises(RuntimeError, match="8 of 9"):
            writer.finish()
    array = RowArray(9, (3, 3))
    array.write(np.arange(8), np.zeros((8, 2), np.float32))
    with pytest.raises(RuntimeError, match="8 of 9"):
        array.finish()


@pytest.mark.parametrize(("scan", "shape"), [((3, 4), (3, 4, 2)), (None, (12, 2)), ((5, 5), (12, 2))])
def test_latents_as_npz_are_shaped_to_the_scan(
    tmp_path: Path, scan: tuple[int, ...] | None, shape: tuple[int, ...]
) -> None:
    rows = np.arange(24.0).reshape(12, 2)
    array = RowArray(12, scan)
    for part in np.split(np.random.default_rng(0).permutation(12), 3):
        array.write(part, rows[part])
    array.finish()
    save_npz(tmp_path / "z.npz", array.shaped)
    assert np.array_equal(np.load(tmp_path / "z.npz")["latents"], rows.reshape(shape))
