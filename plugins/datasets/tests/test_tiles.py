import math

import numpy as np
import pytest
from stem_datasets.tiles import LEAST_ITEMS, MOST_BYTES, blocks_of, box_of, cells, tile_of

PATTERN = 128 * 128 * 2


@pytest.mark.parametrize(
    ("scan", "chunk", "item_bytes", "tile"),
    [
        ((4096,), (16,), PATTERN, (16,)),  # the chunk is the tile
        ((4096,), (1,), PATTERN, (16,)),  # small chunks are read in groups of 16
        ((4096,), (10,), PATTERN, (20,)),  # whole chunks
        ((4096,), None, PATTERN, (16,)),
        ((4096,), (2048,), PATTERN, (2048,)),  # 64 MB: a chunk beyond 32 MB stays whole
        ((4096,), (4096,), 1 << 20, (16,)),  # 4 GB: not
        ((64, 64), (4, 4), PATTERN, (4, 4)),
        ((64, 64), (1, 1), PATTERN, (1, 16)),
        ((64, 8), (1, 1), PATTERN, (2, 8)),  # a row is too short
        ((64, 64), (2, 4), PATTERN, (2, 8)),
        ((100,), None, 1 << 23, (4,)),  # 8 MB patterns: 32 MB
        ((100,), None, 1 << 26, (1,)),  # one pattern at least
        ((5,), (16,), PATTERN, (5,)),
    ],
)
def test_tiles_follow_the_chunks_within_bounds(scan, chunk, item_bytes, tile):
    assert tile_of(scan, chunk, item_bytes) == tile


def test_many_tiny_patterns_make_larger_blocks_but_not_too_few():
    assert tile_of((1_000_000,), None, 64) == (4096,)
    assert math.prod(tile_of((6400,), None, 64)) == 100


@pytest.mark.parametrize("scan", [(1,), (17,), (1000,), (7, 13), (64, 64), (1, 50)])
@pytest.mark.parametrize("chunk", [1, 3, 16])
@pytest.mark.parametrize("item_bytes", [100, 40_000, 3 << 20])
def test_blocks_are_a_partition_within_the_bounds(scan, chunk, item_bytes):
    tile = tile_of(scan, (chunk,) * len(scan), item_bytes)
    blocks = blocks_of(scan, tile)
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(math.prod(scan)))
    assert all((np.diff(block) > 0).all() for block in blocks)
    chunk_bytes = math.prod(min(chunk, s) for s in scan) * item_bytes
    assert all(len(block) * item_bytes <= max(MOST_BYTES, chunk_bytes) for block in blocks)
    if item_bytes == 40_000 and math.prod(scan) >= LEAST_ITEMS:
        assert len(blocks[0]) >= LEAST_ITEMS


def test_a_tile_of_a_scan_holds_the_positions_of_its_chunk():
    block = blocks_of((8, 8), (4, 4))[1]
    assert block.tolist() == [8 * y + x for y in range(4) for x in range(4, 8)]


def test_cells_group_any_rows_and_none():
    rows = np.array([0, 3, 4, 9, 11])
    assert [rows[c].tolist() for c in cells(rows, (12,), (4,))] == [[0, 3], [4], [9, 11]]
    assert cells(np.array([], np.int64), (12,), (4,)) == []


def test_the_box_bounds_the_rows():
    coordinates, low, shape = box_of(np.array([9, 11, 18]), (4, 8))
    assert low.tolist() == [1, 1]
    assert shape.tolist() == [2, 3]
    assert coordinates.T.tolist() == [[1, 1], [1, 3], [2, 2]]
