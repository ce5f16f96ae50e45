"""Rows written as they come, shaped to the scan."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcore.runs.store import RowWriter, save_npz


@pytest.mark.parametrize("scan", [None, (6, 7), (2, 3, 7), (5, 5)])
@pytest.mark.parametrize("row", [(3,), (1, 4, 5)])
def test_rows_in_any_order_end_where_they_belong(
    tmp_path: Path, scan: tuple[int, ...] | None, row: tuple[int, ...]
) -> None:
    rows = np.random.default_rng(0).random((42, *row)).astype(np.float32)
    order = np.random.default_rng(1).permutation(42)
    with h5py.File(tmp_path / "out.h5", "w") as file:
        writer = RowWriter(file, "rows", 42, row, scan, {"unit": "counts"})
        for part in np.split(order, [5, 6, 30]):
            writer.write(part, rows[part])
    with h5py.File(tmp_path / "out.h5") as file:
        lead = scan if scan is not None and np.prod(scan) == 42 else (42,)
        assert file["rows"].shape == (*lead, *row)
        assert np.array_equal(file["rows"][:].reshape(rows.shape), rows)
        assert file["rows"].attrs["unit"] == "counts"


def test_chunks_stay_small_and_within_a_line_of_the_scan(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "out.h5", "w") as file:
        data = RowWriter(file, "rows", 4000, (256, 256), (40, 100), {}).data
        assert data.chunks == (1, 4, 256, 256)


def test_latents_as_npz_are_shaped_to_the_scan(tmp_path: Path) -> None:
    rows = np.arange(24.0).reshape(12, 2)
    order = np.random.default_rng(0).permutation(12)
    save_npz(tmp_path / "z.npz", np.split(order, 3), np.split(rows[order], 3), (3, 4))
    assert np.array_equal(np.load(tmp_path / "z.npz")["latents"], rows.reshape(3, 4, 2))
