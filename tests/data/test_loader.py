"""Batches: the same whatever the number of processes, resumable at any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from stemcore import Dataset, FieldSpec
from stemcore.data.loader import batch_count, ordered_batches, prefetch, to_tensors, training_batches
from stemcore.data.order import Epoch, plan_epoch

ITEMS = 1003


class Squares(Dataset):
    """Item i holds i squared; counts how often each is read."""

    def __init__(self) -> None:
        self.reads = np.zeros(ITEMS, int)

    def __len__(self) -> int:
        return ITEMS

    @property
    def fields(self) -> dict[str, FieldSpec]:
        return {"input": FieldSpec("input", (1,), dtype="int64")}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        np.add.at(self.reads, indices, 1)
        return {"input": np.asarray(indices)[:, None] ** 2}

    def blocks(self) -> list[np.ndarray]:
        return np.array_split(np.arange(ITEMS), 40)


def plan(data: Dataset) -> Epoch:
    return plan_epoch(data.blocks(), seed=5, epoch=2, item_bytes=8, buffer_bytes=8 * 400)


def indices(batches: Iterator[dict[str, np.ndarray]]) -> list[np.ndarray]:
    return [b["index"] for b in batches]


def test_an_epoch_reads_every_item_once_in_the_planned_order() -> None:
    data = Squares()
    epoch = plan(data)
    batches = list(training_batches(data, epoch, 64))
    assert len(batches) == batch_count(epoch, 64) == 16
    seen = np.concatenate([b["index"] for b in batches])
    assert np.array_equal(seen, epoch.sequence())
    assert np.array_equal(np.concatenate([b["input"][:, 0] for b in batches]), seen**2)
    assert data.reads.max() == 1


@pytest.mark.parametrize("world", [2, 4])
def test_the_global_batches_are_the_same_for_any_number_of_processes(world: int) -> None:
    data = Squares()
    epoch = plan(data)
    one = indices(training_batches(data, epoch, 64))
    shares = [indices(training_batches(data, epoch, 64 // world, rank=r, world=world)) for r in range(world)]
    assert {len(s) for s in shares} == {len(one)}
    for whole, *parts in zip(one, *shares, strict=True):
        assert sorted(whole.tolist()) == sorted(np.concatenate(parts).tolist())


@pytest.mark.parametrize("start", [1, 7, 15])
def test_going_on_from_a_batch_gives_the_same_rest(start: int) -> None:
    data = Squares()
    epoch = plan(data)
    whole, rest = indices(training_batches(data, epoch, 64)), indices(training_batches(data, epoch, 64, start=start))
    assert all(np.array_equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_a_short_last_batch_is_dropped_on_request() -> None:
    data = Squares()
    epoch = plan(data)
    assert [len(i) for i in indices(training_batches(data, epoch, 64))][-1] == 1000 % 64
    assert {len(i) for i in indices(training_batches(data, epoch, 64, drop_last=True))} == {64}


def test_batches_in_order_cover_the_items_asked_for_once() -> None:
    wanted = np.arange(0, ITEMS, 3)
    batches = indices(ordered_batches(Squares(), wanted, 50))
    assert np.array_equal(np.concatenate(batches), wanted)
    assert [len(b) for b in batches] == [50] * 6 + [35]
    two = [indices(ordered_batches(Squares(), wanted, 50, rank=r, world=2)) for r in range(2)]
    assert np.array_equal(np.sort(np.concatenate(two[0] + two[1])), wanted)


def test_prefetching_changes_nothing() -> None:
    data = Squares()
    direct, ahead = training_batches(data, plan(data), 64), prefetch(training_batches(data, plan(data), 64))
    assert all(np.array_equal(a, b) for a, b in zip(indices(direct), indices(ahead), strict=True))


def test_an_error_of_the_reading_thread_reaches_the_consumer() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise RuntimeError("chunk 3 is damaged")

    received = prefetch(source())
    assert next(received) == 1
    with pytest.raises(RuntimeError, match="chunk 3 is damaged"):
        next(received)


def test_the_reading_thread_waits_when_far_ahead_and_ends_with_its_consumer() -> None:
    produced = []

    def source() -> Iterator[int]:
        for i in range(1000):
            produced.append(i)
            yield i

    before = threading.active_count()
    received = prefetch(source(), depth=2)
    next(received)
    time.sleep(0.3)
    assert len(produced) <= 5
    received.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "uint64", "float16", "float64", "bool"])
def test_every_stored_type_becomes_a_tensor_with_the_same_values(dtype: str) -> None:
    values = np.array([[0, 1], [2, 200]]).astype(dtype)
    tensor = to_tensors({"input": values})["input"]
    assert np.array_equal(tensor.to(torch.float64).numpy(), values.astype(np.float64))
