"""Batches of stored items: read in blocks, ahead of the device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stemcore.component.dataset import Dataset
from stemcore.data.order import Epoch, Window, restrict

Rows = dict[str, np.ndarray]
Batch = dict[str, Tensor]
T = TypeVar("T")
INDEX = "index"


def training_batches(
    dataset: Dataset,
    epoch: Epoch,
    batch_size: int,
    *,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    drop_last: bool = False,
) -> Iterator[Rows]:
    """This process's share of the batches of an epoch, from batch ``start`` on.

    Args:
        dataset: the items.
        epoch: their order.
        batch_size: items of a batch per process: the global batch is ``batch_size * world``.
        start: batches to leave out, as already trained on.
        rank, world: this process among how many; it owns the lanes ``rank``, ``rank + world``, ...
        drop_last: leaves out a last batch that is not full.
    """
    lanes, total = len(epoch.lanes), len(epoch)
    size = batch_size * world
    mine = [lane for lane in range(lanes) if lane % world == rank]
    readers = {lane: _Lane(dataset, epoch.lanes[lane], _before(start * size, lane, lanes)) for lane in mine}
    for first in range(start * size, batch_count(epoch, batch_size, world, drop_last) * size, size):
        last = min(first + size, total)
        parts, places = [], []
        for lane in mine:
            begin, end = _before(first, lane, lanes), _before(last, lane, lanes)
            if end > begin:
                parts.append(readers[lane].take(end - begin))
                places.append(np.arange(begin, end) * lanes + lane)
        order = np.argsort(np.concatenate(places))
        yield {name: np.concatenate([p[name] for p in parts])[order] for name in parts[0]}


def batch_count(epoch: Epoch, batch_size: int, world: int = 1, drop_last: bool = False) -> int:
    """Batches of an epoch, the same on every process."""
    full, rest = divmod(len(epoch), batch_size * world)
    return full if drop_last or rest < world else full + 1


def ordered_batches(
    dataset: Dataset, indices: np.ndarray, batch_size: int, *, rank: int = 0, world: int = 1
) -> Iterator[Rows]:
    """Batches of the items ``indices`` (sorted), block by block in storage order, every ``world``-th of them."""
    held: list[np.ndarray] = []
    count = number = 0
    for block in [*restrict(dataset.blocks(), indices), None]:
        if block is not None:
            held.append(block)
            count += len(block)
        while count >= batch_size or (block is None and count):
            pending = np.concatenate(held)
            now, later = pending[:batch_size], pending[batch_size:]
            held, count = [later], len(later)
            if number % world == rank:
                yield read(dataset, now)
            number += 1


def read(dataset: Dataset, indices: np.ndarray) -> Rows:
    """Items with their ``index``."""
    rows = dict(dataset.read(indices))
    rows[INDEX] = np.asarray(indices, np.int64)
    return rows


def prefetch(source: Iterator[T], prepare: Callable[[T], T] = lambda item: item, depth: int = 2) -> Iterator[T]:
    """The items of ``source``, produced by a thread that is at most ``depth`` items ahead."""
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(kind: str, value: T | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in source:
                if not put("item", prepare(item)):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, name="stemcore-reader", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


_WIDER = {np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.int64}


def to_tensors(rows: Rows, *, pin: bool = False) -> Batch:
    """Arrays as tensors in their stored dtype (unsigned 32 and 64 bit integers, which few kernels take, as int64)."""
    batch = {}
    for name, array in rows.items():
        array = array.astype(_WIDER[array.dtype]) if array.dtype in _WIDER else array
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        batch[name] = tensor.pin_memory() if pin else tensor
    return batch


def _before(position: int, lane: int, lanes: int) -> int:
    """How many of a lane's items come before a position of the epoch."""
    return (position - lane + lanes - 1) // lanes


class _Lane:
    """Hands out the items of one lane, holding one window at a time."""

    def __init__(self, dataset: Dataset, windows: Sequence[Window], skip: int) -> None:
        self.dataset = dataset
        self.windows = list(windows)
        while self.windows and skip >= len(self.windows[0].order):
            skip -= len(self.windows.pop(0).order)
        self.position = skip
        self.rows: Rows | None = None

    def take(self, count: int) -> Rows:
        parts: list[Rows] = []
        while count:
            window = self.windows[0]
            if self.rows is None:
                self.rows = read(self.dataset, window.indices)
            chosen = window.order[self.position : self.position + count]
            parts.append({name: array[chosen] for name, array in self.rows.items()})
            count -= len(chosen)
            self.position += len(chosen)
            if self.position == len(window.order):
                self.windows.pop(0)
                self.position, self.rows = 0, None
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
