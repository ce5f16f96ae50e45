"""The shuffled order of an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from stemcore.component.sampler import Sampler
from stemcore.data.order import LANES, lane_count, plan_epoch, restrict


def blocks_of(items: int, size: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + size, items)) for start in range(0, items, size)]


def order(items: int = 1000, size: int = 16, **options: int) -> np.ndarray:
    settings = {"seed": 1, "epoch": 0, "item_bytes": 100, "buffer_bytes": 40_000, **options}
    return plan_epoch(blocks_of(items, size), **settings).sequence()


@pytest.mark.parametrize("items", [5, 63, 64, 999, 1000, 1007])
def test_every_item_comes_once_but_for_the_few_that_rotate_out(items: int) -> None:
    sequence = order(items)
    assert len(np.unique(sequence)) == len(sequence)
    assert items - len(sequence) == items % lane_count(items) < LANES


def test_the_items_left_out_are_others_in_another_epoch() -> None:
    left_out = [set(range(1007)) - set(order(1007, epoch=e).tolist()) for e in range(6)]
    assert len(set.union(*left_out)) > len(left_out[0])


def test_order_depends_on_seed_and_epoch_alone() -> None:
    assert np.array_equal(order(), order())
    assert not np.array_equal(order(), order(epoch=1))
    assert not np.array_equal(order(), order(seed=2))


def test_no_window_holds_more_than_its_share_of_the_buffer() -> None:
    epoch = plan_epoch(blocks_of(4000, 16), seed=1, epoch=0, item_bytes=100, buffer_bytes=8 * 96 * 100)
    sizes = [[len(window.indices) for window in lane] for lane in epoch.lanes]
    assert max(map(max, sizes)) <= 64  # two thirds: the rest is for the windows to come
    assert min(min(lane[1:-1]) for lane in sizes) > 48


def test_windows_of_different_lanes_end_at_different_times() -> None:
    epoch = plan_epoch(blocks_of(64_000, 10), seed=1, epoch=0, item_bytes=1, buffer_bytes=8 * 1200)
    ends = [np.cumsum([len(w.order) for w in lane])[:3] for lane in epoch.lanes]
    assert [int(lane[0]) for lane in ends] == sorted({int(lane[0]) for lane in ends})
    assert np.diff(sorted(int(lane[1]) for lane in ends)).min() >= 70


def test_a_block_larger_than_the_buffer_is_still_read_whole() -> None:
    epoch = plan_epoch(blocks_of(4000, 500), seed=1, epoch=0, item_bytes=100, buffer_bytes=1)
    assert len(epoch.lanes) == 1
    assert {len(w.indices) for w in epoch.lanes[0]} == {500}


@pytest.mark.parametrize(("megabytes", "lanes"), [(1, 8), (40, 8), (67, 4), (150, 2), (400, 1), (4000, 1)])
def test_there_are_as_many_lanes_as_the_buffer_has_room_for_blocks(megabytes: float, lanes: int) -> None:
    assert lane_count(100_000, megabytes * 1e6, 512e6) == lanes


@pytest.mark.parametrize(("world", "lanes"), [(1, 8), (2, 8), (4, 8), (8, 8), (3, 9), (6, 12), (16, 16)])
def test_every_process_has_as_many_lanes(world: int, lanes: int) -> None:
    assert lane_count(100_000, world=world) == lanes


def test_a_batch_of_a_class_sorted_file_holds_every_class() -> None:
    """Ten classes stored one after another: batches of 64 must not be worse mixed than a full shuffle by much."""
    labels = np.repeat(np.arange(10), 200)
    sequence = labels[order(2000, size=16, buffer_bytes=2000 * 100 // 4)]
    batches = sequence[: 31 * 64].reshape(31, 64)
    largest_share = np.mean([np.bincount(b, minlength=10).max() / 64 for b in batches])
    shuffled = np.random.default_rng(0).permutation(labels)[: 31 * 64].reshape(31, 64)
    expected = np.mean([np.bincount(b, minlength=10).max() / 64 for b in shuffled])
    assert expected < largest_share < 1.5 * expected


@pytest.mark.parametrize("buffer_blocks", [8, 32, 128, 512])
def test_neighbours_in_a_batch_are_as_far_apart_as_in_a_full_shuffle(buffer_blocks: int) -> None:
    """Two random places of n are n / 3 apart on average; in the order of the file neighbours are one apart."""
    items = 32_768
    sequence = order(items, buffer_bytes=buffer_blocks * 16 * 100)
    batches = sequence[: len(sequence) // 128 * 128].reshape(-1, 128)
    assert np.abs(np.diff(batches, axis=1)).mean() / (items / 3) == pytest.approx(1, abs=0.03)


def test_more_memory_means_fewer_items_of_one_block_in_a_batch() -> None:
    def together(buffer_blocks: int) -> float:
        sequence = order(32_768, buffer_bytes=buffer_blocks * 16 * 100)
        batches = sequence[: len(sequence) // 128 * 128].reshape(-1, 128)
        counts = [np.unique(batch // 16, return_counts=True)[1] for batch in batches]
        return float(np.mean([c[c > 1].sum() / 128 for c in counts]))

    found = [together(blocks) for blocks in (8, 128, 512, 2048)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.15


def test_blocks_are_cut_to_the_training_split() -> None:
    kept = restrict(blocks_of(50, 10), np.array([0, 3, 11, 49]))
    assert [k.tolist() for k in kept] == [[0, 3], [11], [49]]


class EveryOther(Sampler):
    def epoch(self, blocks: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        return blocks[::2]


def test_a_sampler_chooses_the_blocks() -> None:
    plan = plan_epoch(blocks_of(640, 16), seed=1, epoch=0, item_bytes=1, buffer_bytes=1e6, sampler=EveryOther())
    assert set(plan.sequence().tolist()) == {i for i in range(640) if (i // 16) % 2 == 0}
