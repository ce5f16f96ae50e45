from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.acceptance.big_files import EVERY, NAME, RUN, SIDE, Kind, expected, sample, several, sparse_scan

KINDS: list[Kind] = ["virtual", "chunked", "contiguous"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_that_takes_no_space(kind: Kind, tmp_path: Path) -> None:
    count = sparse_scan(tmp_path / "scan.h5", 20, kind=kind)
    assert abs(count * SIDE * SIDE * 2 - 20e9) < SIDE * SIDE * 2
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) < 50e6
    stored = RUN * EVERY[kind] * np.arange(1 + (count - 1) // (RUN * EVERY[kind]))
    chosen = np.concatenate([stored[:9], stored[:9] + RUN - 1, stored[-3:], stored[:3] + RUN, [count // 2, count - 1]])
    chosen = np.unique(chosen[chosen < count])
    with h5py.File(tmp_path / "scan.h5", "r") as file:
        dataset = file[NAME]
        assert dataset.shape == (count, SIDE, SIDE)
        assert dataset.dtype == np.uint16
        read = np.stack([dataset[item] for item in chosen])
    right = expected(chosen, kind=kind)
    np.testing.assert_array_equal(read, right)
    assert len({pattern.tobytes() for pattern in right if pattern.any()}) >= 9


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_one_whose_last_run_is_cut_short(kind: Kind, tmp_path: Path) -> None:
    count = sparse_scan(tmp_path / "scan.h5", (15 * RUN + 5) * SIDE * SIDE * 2 / 1e9, kind=kind)
    assert count == 15 * RUN + 5
    with h5py.File(tmp_path / "scan.h5", "r") as file:
        np.testing.assert_array_equal(file[NAME][()], expected(np.arange(count), kind=kind))


def test_the_patterns_are_those_of_the_sample_with_all_their_electrons() -> None:
    large = several()
    small = large.reshape(len(large), 64, 4, 64, 4).sum((2, 4))
    np.testing.assert_array_equal(small, sample())
