"""Batches of stored items on the device: from a cache where they are in it, else read ahead from storage."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from stemcore.component.dataset import Dataset
from stemcore.data.assembly import Assembly
from stemcore.data.buffers import BatchMemory
from stemcore.data.cache import Cache
from stemcore.data.jobs import Plan, in_order, shuffled
from stemcore.data.memory import cores
from stemcore.data.order import Epoch
from stemcore.data.source import Source
from stemcore.data.tensors import Batch, item_bytes

MOST_WORKERS = 16
ORDERED_BYTES = 64e6
JOB_BYTES = 1 << 21
IN_USE = 3
"""Batches that were handed out and are still looked at."""
CPU = torch.device("cpu")
FETCHED = 256
FEW = 0.02
"""Share of an epoch's items that may be missing from a cache for them to be fetched first, by themselves."""


@dataclass(frozen=True)
class Loader:
    """How batches come to the device.

    Attributes:
        device: where they are wanted.
        workers: threads that read ahead; ``None`` for as many as there are cores. A data set that does not allow for
            several is read by one; with 0, batches are read between the steps.
        buffer_bytes: memory for the batches of an epoch that are open at a time.
        pin: whether batches wait for the device in page-locked memory.
        rank, world: this process among how many.
        stop: asked while waiting for storage: whether to end early.
        memory: for batches; that of other loaders may be shared.
    """

    device: torch.device = CPU
    workers: int | None = None
    buffer_bytes: float = 512e6
    pin: bool = False
    rank: int = 0
    world: int = 1
    stop: Callable[[], bool] = lambda: False
    memory: BatchMemory = field(default_factory=BatchMemory, repr=False, compare=False)

    def epoch(
        self,
        source: Source,
        epoch: Epoch,
        batch_size: int,
        *,
        start: int = 0,
        drop_last: bool = False,
        limit: int | None = None,
    ) -> Iterator[Batch]:
        """This process's share of the batches of an epoch, from batch ``start`` on.

        Args:
            source: the items.
            epoch: their order.
            batch_size: items of a batch per process: the global batch is ``batch_size * world``.
            start: batches to leave out, as already trained on.
            drop_last: leaves out a last batch that is not full.
            limit: batches of the epoch, those left out at its start among them; ``None`` for all.
        """
        plan = shuffled(
            epoch,
            batch_size,
            start=start,
            rank=self.rank,
            world=self.world,
            drop_last=drop_last,
            limit=limit,
            together=_together(source.dataset),
        )
        if source.cache is not None:
            mine = plan.sequence[plan.numbers.start * batch_size : plan.numbers.stop * batch_size]
            if self._complete(source, mine):
                return self._kept(source.cache, mine, batch_size)
        return self._read(plan, source, batch_size, self.buffer_bytes)

    def ordered(self, source: Source, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Batches of the source's items, block by block in storage order, every ``world``-th of them; the first
        ``limit`` of this process."""
        plan = in_order(
            source.dataset.blocks(),
            source.indices,
            batch_size,
            rank=self.rank,
            world=self.world,
            together=_together(source.dataset),
            limit=limit,
        )
        if source.cache is not None and not len(source.cache.missing(plan.sequence)):
            return self._kept(source.cache, plan.sequence, batch_size)
        return self._read(plan, source, batch_size, ORDERED_BYTES)

    def threads(self, dataset: Dataset, block_bytes: float = 0) -> int:
        """Threads that read a data set: no more than its blocks leave memory for, as each decodes one at a time."""
        if self.workers == 0:
            return 0
        if not dataset.thread_safe:
            return 1
        wanted = self.workers or min(MOST_WORKERS, cores())
        return max(1, min(wanted, int(self.buffer_bytes // max(1, 2 * block_bytes))))

    def _complete(self, source: Source, indices: np.ndarray) -> bool:
        """Whether all items are in the cache, once the last few have been fetched: those that rotated out. One process
        of several would meet other items in every epoch, and fetches whatever it lacks."""
        assert source.cache is not None
        missing = np.unique(source.cache.missing(indices))
        if len(missing) > FEW * len(indices) and self.world == 1:
            return False
        if len(missing):
            alone = replace(self, rank=0, world=1)
            for _ in alone.ordered(source.only(missing), min(len(missing), FETCHED)):
                pass
        return True

    def _kept(self, cache: Cache, indices: np.ndarray, batch_size: int) -> Iterator[Batch]:
        """Batches from a cache. Where it is on the device, nothing is left to do on the host; where it is in the host's
        memory and the device is another, a thread gathers ahead."""
        if not len(indices):  # splitting nothing gives one batch of nothing
            return iter(())
        order = torch.from_numpy(indices).to(cache.device)
        gathered = (cache.take(part) for part in torch.split(order, batch_size))
        if cache.device == self.device or self.device.type == "cpu":
            return gathered
        pinned = ({n: t.pin_memory() for n, t in b.items()} for b in gathered) if self.pin else gathered
        return (self._moved(b) for b in (prefetch(pinned) if self.workers != 0 else pinned))

    def _read(self, plan: Plan, source: Source, batch_size: int, budget: float) -> Iterator[Batch]:
        dataset = source.dataset
        bytes_each = item_bytes(dataset)
        largest = max((len(b) for b in dataset.blocks()), default=0) * bytes_each
        most_open = max(2, int(budget / (bytes_each * batch_size)))
        assembly = Assembly(
            plan,
            dataset,
            self.memory.of(dataset.fields, batch_size, min(most_open, len(plan.numbers)) + IN_USE, pin=self.pin),
            workers=self.threads(dataset, largest),
            most_open=most_open,
            stop=self.stop,
        )
        for batch in assembly.batches():
            moved = self._moved(batch)
            if source.cache is not None:
                source.cache.add(batch if source.cache.device.type == "cpu" else moved)
            yield moved

    def _moved(self, batch: Batch) -> Batch:
        if self.device.type == "cpu":
            return batch
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}


def _together(dataset: Dataset) -> int:
    return max(1, JOB_BYTES // item_bytes(dataset))


def prefetch(source: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """The items of ``source``, produced by a thread that is at most ``depth`` items ahead."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=depth)
    closed = threading.Event()

    def put(value: Batch | BaseException | None) -> bool:
        while not closed.is_set():
            try:
                ready.put(value, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            if all(put(item) for item in source):
                put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="stemcore-gatherer", daemon=True)
    thread.start()
    try:
        while (value := ready.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield value
    finally:
        closed.set()
        thread.join()
