"""Chunks along the lines of a scan."""

from __future__ import annotations

import numpy as np
import pytest

from stemcore.runs.layout import CHUNK_BYTES, Layout


@pytest.mark.parametrize(
    ("items", "row", "scan", "chunks"),
    [
        (4000, (256, 256), (40, 100), (1, 8)),  # 13 to a line
        (4096, (128, 128), (64, 64), (1, 32)),  # halves of a line
        (4096, (32, 32), (64, 64), (8, 64)),  # lines are short: several
        (4096, (32,), (64, 64), (64, 64)),  # all of it
        (4096, (32, 32), None, (512,)),
        (4096, (32, 32), (3, 3), (512,)),  # not this scan
        (24, (1024, 1024), (2, 3, 4), (1, 1, 1)),  # one pattern is more than a chunk should be
        (2400, (16, 16), (4, 20, 30), (1, 20, 30)),
        (1, (16, 16), (1, 1), (1, 1)),
    ],
)
def test_chunks(items: int, row: tuple[int, ...], scan: tuple[int, ...] | None, chunks: tuple[int, ...]) -> None:
    layout = Layout.of(items, row, scan, 4)
    assert layout.chunks == chunks
    assert layout.slots * 4 * np.prod(row) <= max(CHUNK_BYTES, 4 * np.prod(row))


@pytest.mark.parametrize(
    "layout", [Layout((5, 7), 2, 7), Layout((5, 7), 1, 3), Layout((2, 5, 7), 3, 7), Layout((35,), 1, 8)]
)
def test_places_agree_with_regions(layout: Layout) -> None:
    numbers = np.arange(np.prod(layout.lead)).reshape(layout.lead)
    keys, slots = layout.place(numbers.ravel())
    for key in np.unique(keys):
        inside = numbers[layout.region(int(key))].ravel()
        mine = np.flatnonzero(keys == key)
        assert layout.count(int(key)) == len(inside)
        assert np.array_equal(inside[slots[mine]], mine)


def test_stretches_are_what_is_there() -> None:
    layout = Layout((2, 5, 7), 3, 7)
    numbers = np.arange(70).reshape(2, 5, 7)
    for key in range(4):
        rows = numbers[layout.region(key)].ravel()
        there = np.zeros(layout.slots, bool)
        there[: len(rows)] = np.random.default_rng(key).random(len(rows)) < 0.5
        found = [(numbers[place].ravel(), rows[part]) for place, part in layout.stretches(key, there)]
        assert all(np.array_equal(in_scan, in_chunk) for in_scan, in_chunk in found)
        assert sorted(np.concatenate([f for f, _ in found])) == rows[there[: len(rows)]].tolist()
