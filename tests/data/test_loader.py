"""Batches: the same whatever the number of threads and processes, resumable at any of them, from storage or a cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from stemcore.data.cache import Cache
from stemcore.data.jobs import batch_count
from stemcore.data.loader import Loader, prefetch
from stemcore.data.order import Epoch, plan_epoch
from stemcore.data.source import Source, whole
from stemcore.data.tensors import Batch, to_tensors
from tests.data.squares import Squares

ITEMS = 1003
BYTES = 32


def plan(data: Squares, world: int = 1, epoch: int = 2) -> Epoch:
    return plan_epoch(data.blocks(), seed=5, epoch=epoch, item_bytes=BYTES, buffer_bytes=BYTES * 400, world=world)


def loader(workers: int | None = 3, **options: int) -> Loader:
    return Loader(workers=workers, buffer_bytes=BYTES * 400, **options)


def indices(batches: Iterator[Batch]) -> list[np.ndarray]:
    seen = []
    for batch in batches:
        index = batch["index"].numpy()
        assert np.array_equal(batch["input"].numpy(), index[:, None, None] ** 2 + np.arange(3))
        assert np.array_equal(batch["weight"].numpy(), index)
        seen.append(index)
    return seen


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_epoch_reads_every_item_once_in_the_planned_order(workers: int) -> None:
    data = Squares()
    epoch = plan(data)
    batches = indices(loader(workers).epoch(whole(data), epoch, 64))
    assert len(batches) == batch_count(len(epoch), 64) == 16
    assert np.array_equal(np.concatenate(batches), epoch.sequence())
    assert data.reads.max() == 1


@pytest.mark.parametrize("world", [2, 4, 8])
def test_the_global_batches_are_the_same_for_any_number_of_processes(world: int) -> None:
    data = Squares()
    one = indices(loader().epoch(whole(data), plan(data), 64))
    shares = [
        indices(loader(rank=r, world=world).epoch(whole(data), plan(data, world), 64 // world)) for r in range(world)
    ]
    assert {len(s) for s in shares} == {len(one)}
    for together, *parts in zip(one, *shares, strict=True):
        assert len({len(p) for p in parts}) == 1
        assert sorted(together.tolist()) == sorted(np.concatenate(parts).tolist())


@pytest.mark.parametrize("world", [3, 5, 12])
def test_any_number_of_processes_gets_equal_shares(world: int) -> None:
    data = Squares()
    epoch = plan(data, world)
    shares = [indices(loader(rank=r, world=world).epoch(whole(data), epoch, 16)) for r in range(world)]
    assert len({tuple(map(len, s)) for s in shares}) == 1
    seen = np.concatenate([np.concatenate(s) for s in shares])
    assert len(np.unique(seen)) == len(seen) == len(epoch) > ITEMS - len(epoch.lanes)


@pytest.mark.parametrize("start", [1, 7, 15])
@pytest.mark.parametrize("world", [1, 2])
def test_going_on_from_a_batch_gives_the_same_rest_and_reads_no_more(start: int, world: int) -> None:
    data = Squares()
    epoch, source = plan(data, world), whole(data)
    size = 64 // world
    first = indices(loader(rank=world - 1, world=world).epoch(source, epoch, size))
    data.reads[:] = 0
    rest = indices(loader(rank=world - 1, world=world).epoch(source, epoch, size, start=start))
    assert all(np.array_equal(a, b) for a, b in zip(first[start:], rest, strict=True))
    assert data.reads.sum() == sum(map(len, rest))


def test_a_short_last_batch_is_dropped_on_request() -> None:
    source = whole(Squares())
    epoch = plan(Squares())
    assert [len(i) for i in indices(loader().epoch(source, epoch, 64))][-1] == 1000 % 64
    assert {len(i) for i in indices(loader().epoch(source, epoch, 64, drop_last=True))} == {64}


@pytest.mark.parametrize("batch_size", [1, 7, 50, 2000])
def test_batches_in_order_cover_the_items_asked_for_once(batch_size: int) -> None:
    wanted = np.arange(0, ITEMS, 3)
    source = Source(Squares(), wanted)
    batches = indices(loader().ordered(source, batch_size))
    assert np.array_equal(np.concatenate(batches), wanted)
    assert {len(b) for b in batches[:-1]} <= {batch_size}
    for world in (2, 3, 5):
        shares = [indices(loader(rank=r, world=world).ordered(source, batch_size)) for r in range(world)]
        assert all(
            np.array_equal(s, b) for r in range(world) for s, b in zip(shares[r], batches[r::world], strict=True)
        )


def test_a_limit_reads_no_more_batches() -> None:
    data = Squares()
    assert [len(i) for i in indices(loader(0).ordered(whole(data), 50, limit=2))] == [50, 50]
    assert data.reads.sum() < 200


def test_no_items_are_no_batches() -> None:
    assert indices(loader().ordered(Source(Squares(), np.empty(0, np.int64)), 50)) == []


def test_what_is_open_stays_within_the_buffer() -> None:
    """A consumer that takes its time: the threads must not read the whole file meanwhile."""
    data = Squares(items=20_000, blocks=1000)
    epoch = plan_epoch(data.blocks(), seed=1, epoch=0, item_bytes=BYTES, buffer_bytes=BYTES * 2000)
    batches = Loader(workers=2, buffer_bytes=BYTES * 2000).epoch(whole(data), epoch, 50)
    most = 0
    for number in range(100):
        next(batches)
        if number % 20 == 0:
            time.sleep(0.05)
        most = max(most, int(data.reads.sum()) - 50 * (number + 1))
    assert 0 < most <= 2000 + 2 * 20
    batches.close()  # type: ignore[attr-defined]


def test_threads_end_with_their_consumer() -> None:
    before = threading.active_count()
    batches = loader().epoch(whole(Squares()), plan(Squares()), 16)
    next(batches)
    assert threading.active_count() > before
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("keep", [True, False])
def test_memory_is_used_again_only_when_nobody_looks_at_it(keep: bool) -> None:
    data = Squares()
    held, places = [], set()
    for batch in loader(0).epoch(whole(data), plan(data), 16):
        places.add(batch["input"].data_ptr())
        if keep:
            held.append((batch["index"], batch["input"][2:5]))
    for index, part in held:
        assert np.array_equal(part[:, 0, 0].numpy(), index[2:5].numpy() ** 2)
    assert len(places) == 63 if keep else len(places) < 45


def test_one_thread_reads_what_does_not_allow_for_several() -> None:
    class Shy(Squares):
        thread_safe = False

    assert loader(6).threads(Shy()) == 1
    assert loader(0).threads(Shy()) == loader(0).threads(Squares()) == 0
    assert loader(6).threads(Squares()) == 6
    assert loader(6).threads(Squares(), block_bytes=BYTES * 100) == 2


# ------------------------------------------------------------------------------------------------ caches


@pytest.mark.parametrize("start", [0, 5, 16])
def test_an_epoch_from_a_cache_is_the_same_as_from_storage(start: int) -> None:
    data = Squares()
    kept = Source(data, np.arange(0, ITEMS), Cache(data, torch.device("cpu")))
    for _ in loader().ordered(kept, 100):
        pass
    data.reads[:] = 0
    for epoch in range(3):
        order = plan(data, epoch=epoch)
        expected = indices(loader().epoch(whole(Squares()), order, 64, start=start))
        found = indices(loader().epoch(kept, order, 64, start=start))
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert data.reads.sum() == 0


def test_a_cache_fills_as_epochs_go_by_and_the_few_left_out_are_fetched() -> None:
    data = Squares()
    kept = Source(data, np.arange(ITEMS), Cache(data, torch.device("cpu")))
    for number in range(3):
        order = plan(data, epoch=number)
        assert np.array_equal(np.concatenate(indices(loader().epoch(kept, order, 64))), order.sequence())
    assert data.reads.max() == 1  # also those that rotated out of the first epoch were read but once


@pytest.mark.parametrize("world", [1, 2, 3])
def test_batches_in_order_from_a_cache_are_the_same_as_from_storage(world: int) -> None:
    data = Squares()
    wanted = np.arange(0, ITEMS, 2)
    kept = Source(data, wanted, Cache(data, torch.device("cpu")))
    for _ in loader().ordered(kept, 100):
        pass
    data.reads[:] = 0
    for rank in range(world):
        share = loader(rank=rank, world=world)
        expected = indices(share.ordered(Source(Squares(), wanted), 37))
        assert all(np.array_equal(a, b) for a, b in zip(expected, indices(share.ordered(kept, 37)), strict=True))
    assert data.reads.sum() == 0


def test_processes_with_caches_read_the_file_once_each() -> None:
    data = Squares()
    kept = Source(data, np.arange(ITEMS), Cache(data, torch.device("cpu")))
    share = loader(rank=1, world=2)
    for number in range(3):
        order = plan(data, 2, epoch=number)
        assert np.array_equal(np.concatenate(indices(share.epoch(kept, order, 32))), order.share(1, 2))
    assert data.reads.max() == 1


# --------------------------------------------------------------------------------------------- gathering ahead


def one(value: int) -> Batch:
    return {"index": torch.tensor([value])}


def test_an_error_of_the_gathering_thread_reaches_the_consumer() -> None:
    def source() -> Iterator[Batch]:
        yield one(1)
        raise RuntimeError("chunk 3 is damaged")

    received = prefetch(source())
    assert int(next(received)["index"]) == 1
    with pytest.raises(RuntimeError, match="chunk 3 is damaged"):
        next(received)


def test_the_gathering_thread_waits_when_far_ahead_and_ends_with_its_consumer() -> None:
    produced = []

    def source() -> Iterator[Batch]:
        for i in range(1000):
            produced.append(i)
            yield one(i)

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
