from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from stem_datasets.slabs import MOST_SLAB_BYTES, chunk_of, extent, lead_of, pieces, slab_of, whole

MB = 1 << 20


def decodes(lead, stored, slab):
    """How often each stored chunk is decoded: once for every slab that it has items of."""
    times = Counter()
    for box in pieces(whole(lead), slab):
        times.update(
            product(*(range(side.start // c, -(-side.stop // c)) for side, c in zip(box, stored, strict=True)))
        )
    return times


@pytest.mark.parametrize(
    ("lead", "item_bytes", "chunk"),
    [
        ((4096,), 128 * 128 * 2, (32,)),
        ((2304,), 128 * 128 * 2, (32,)),
        ((64, 64), 128 * 128 * 2, (1, 32)),
        ((256, 200), 256 * 256 * 2, (1, 8)),
        ((50, 50), 256 * 256 * 4, (1, 4)),
        ((40, 40), 2048 * 2048 * 2, (1, 1)),
        ((512, 100), 1024 * 2, (5, 100)),
        ((1280,), 32 * 32 * 2, (20,)),
        ((10,), 32 * 32 * 2, (10,)),
        ((2, 3, 64, 64), 128 * 128 * 2, (1, 1, 1, 32)),
    ],
)
def test_chunks_are_whole_patterns_within_a_line(lead, item_bytes, chunk):
    assert chunk_of(lead, item_bytes) == chunk


def test_the_number_of_patterns_can_be_given():
    assert chunk_of((64, 64), 1, 24) == (1, 24)
    assert chunk_of((64, 64), 1, 128) == (2, 64)
    assert chunk_of((64,), 1, 100) == (64,)


@pytest.mark.parametrize(
    ("lead", "stored", "item_bytes"),
    [
        ((256, 256), (32, 32), 256 * 256 * 4),
        ((256, 256), (32, 32), 128 * 128 * 2),
        ((100, 90), (7, 13), 128 * 128 * 2),
        ((64, 64), (1, 1), 256 * 256 * 2),
        ((64, 64), (64, 1), 64 * 64 * 2),
        ((100000,), (10,), 128 * 128 * 2),
        ((4096,), (4096,), 128 * 128 * 2),
        ((300, 300), (1, 300), 512 * 512 * 2),
    ],
)
def test_every_stored_chunk_is_decoded_once_in_bounded_memory(lead, stored, item_bytes):
    chunk = chunk_of(lead, item_bytes)
    slab = slab_of(lead, stored, chunk, item_bytes)
    assert math.prod(slab) * item_bytes <= MOST_SLAB_BYTES
    assert set(decodes(lead, stored, slab).values()) == {1}
    assert set(decodes(lead, chunk, slab).values()) <= {1, 2}
    covered = np.zeros(lead, int)
    for box in pieces(whole(lead), slab):
        covered[box] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("stored", [(4, 4), (3, 5), (16, 1)])
def test_new_chunks_are_whole_in_a_slab_where_that_fits(stored):
    slab = slab_of((64, 64), stored, (1, 16), 128 * 128 * 2)
    assert set(decodes((64, 64), (1, 16), slab).values()) == {1}


def test_a_chunk_beyond_memory_is_decoded_as_seldom_as_it_allows():
    lead, item_bytes = (256, 256), 256 * 256 * 2
    slab = slab_of(lead, lead, chunk_of(lead, item_bytes), item_bytes)
    assert 0.7 * MOST_SLAB_BYTES < math.prod(slab) * item_bytes <= MOST_SLAB_BYTES
    assert decodes(lead, lead, slab)[0, 0] == -(-256 // slab[0])
    assert slab_of((64,), (64,), (1,), 8 * MB, most=MB) == (1,)


def test_pieces_follow_the_grid_from_zero():
    cut = list(pieces((slice(3, 9), slice(0, 2)), (4, 2)))
    assert [(side.start, side.stop) for side, _ in cut] == [(3, 4), (4, 8), (8, 9)]
    assert [extent(box) for box in cut] == [(1, 2), (4, 2), (1, 2)]


def test_the_axes_that_count_items():
    assert [lead_of((2, 3, 4, 5)[:n]) for n in (4, 3, 2, 1)] == [(2, 3), (2,), (2,), (2,)]
