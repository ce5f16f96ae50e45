"""Batches put together by threads that read ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.data.buffers import Buffer, Buffers
from stemcore.data.jobs import Job, Piece, Plan
from stemcore.data.retry import patiently
from stemcore.data.tensors import Batch, held_type, lengths

POLL_SECONDS = 0.1
LAST_SECONDS = 1.0


class Assembly:
    """Reads the jobs of a plan, each item straight to its row of its batch, and hands out the batches in order.

    A job starts when the batches that it reaches into fit into memory beside those that are open, or when the next
    batch needs it: what is open is bounded, and nothing waits for ever.

    Args:
        plan: what to read.
        dataset: where from.
        buffers: memory for the batches.
        workers: threads; 0 reads between two batches, in the thread that asks for them.
        most_open: batches that may be open at a time.
        stop: asked while waiting: whether to end early.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        buffers: Buffers,
        *,
        workers: int,
        most_open: int,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan, self._dataset, self._buffers = plan, dataset, buffers
        self._workers, self._most_open, self._stop = workers, max(1, most_open), stop
        self._as_stored = all(held_type(f.dtype) == np.dtype(f.dtype) for f in dataset.fields.values())
        # Not asked again once it has said no.
        self._by_rows = True
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._jobs = iter(plan.jobs)
        self._upcoming = next(self._jobs, None)
        self._open: dict[int, Buffer] = {}
        self._missing: dict[int, int] = {}
        self._needed = plan.numbers.start
        self._error: BaseException | None = None

    def batches(self) -> Iterator[Batch]:
        """The batches in order, in host memory.

        Raises:
            BaseException: whatever reading raised, in a thread or not.
        """
        threads = [
            threading.Thread(target=self._work, name=f"stemcore-reader-{i}", daemon=True) for i in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            scratch = Scratch(self._dataset)
            for number in self._plan.numbers:
                if not (self._await(number, threads) if threads else self._read(number, scratch)):
                    return
                yield self._handed_out(number)
        finally:
            self._closed.set()
            with self._changed:
                self._changed.notify_all()
            self._end(threads)

    def _end(self, threads: list[threading.Thread]) -> None:
        """Waits for the threads, but not for one that storage holds up: it is left behind, with what it writes to."""
        until = time.monotonic() + LAST_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in threads):
            for buffer in self._open.values():
                buffer.release()

    def _handed_out(self, number: int) -> Batch:
        with self._changed:
            buffer = self._open.pop(number)
            del self._missing[number]
            self._needed = number + 1
            self._changed.notify_all()
        return buffer.tensors(self._plan.items(number))

    def _read(self, number: int, scratch: Scratch) -> bool:
        while self._missing.get(number) != 0:
            if self._stop():
                return False
            job = self._take()
            assert job is not None, "a batch lacks items that no job reads"
            self._do(job, scratch)
        return True

    def _await(self, number: int, threads: list[threading.Thread]) -> bool:
        with self._changed:
            while self._missing.get(number) != 0:
                if self._error is not None:
                    raise self._error
                if self._stop():
                    return False
                if not any(thread.is_alive() for thread in threads):
                    raise RuntimeError("the reading threads have ended before the last batch")
                self._changed.wait(POLL_SECONDS)
        return True

    def _work(self) -> None:
        try:
            scratch = Scratch(self._dataset)
            while (job := self._take()) is not None:
                self._do(job, scratch)
        except BaseException as error:  # also SystemExit of a plugin: whoever waits has to hear of it
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self) -> Job | None:
        """The next job, with its batches opened, as soon as it may start; ``None`` when there is none left."""
        with self._changed:
            while not self._closed.is_set() and self._upcoming is not None and self._error is None:
                job = self._upcoming
                if job.first > self._needed and job.last - self._needed >= self._most_open:
                    self._changed.wait()
                    continue
                self._upcoming = next(self._jobs, None)
                for number in job.counts:
                    if number not in self._open:
                        self._open[number] = self._buffers.take()
                        self._missing[number] = len(self._plan.items(number))
                return job
            return None

    def _do(self, job: Job, scratch: Scratch) -> None:
        opened = {number: self._open[number] for number in job.counts}
        for piece in job.pieces:
            if self._closed.is_set():
                return
            straight = piece.straight and self._as_stored
            if straight:
                buffer = opened[piece.batch[0]]
                rows = slice(buffer.start + piece.row[0], buffer.start + piece.row[-1] + 1)
                out = {name: array[rows] for name, array in buffer.slab.arrays.items()}
            elif self._as_stored and self._by_rows and self._read_rows(piece, opened):
                continue
            else:
                out = scratch.take(len(piece.indices))
            patiently(partial(self._dataset.read_into, piece.indices, out), self._dataset, self._closed)
            if not straight:
                _scatter(out, piece, opened)
        with self._changed:
            for number, count in job.counts.items():
                self._missing[number] -= count
            if self._missing.get(self._needed) == 0:
                self._changed.notify_all()

    def _read_rows(self, piece: Piece, opened: Mapping[int, Buffer]) -> bool:
        """Reads each item straight to its row, if the data set does that."""
        places = [(opened[n], opened[n].start + row) for n, row in zip(piece.batch, piece.row, strict=True)]
        out = {name: [buffer.slab.arrays[name][row] for buffer, row in places] for name in self._dataset.fields}
        done: list[bool] = []
        patiently(lambda: done.append(self._dataset.read_rows(piece.indices, out)), self._dataset, self._closed)
        self._by_rows = bool(done and done[-1])
        return self._by_rows


def _scatter(values: Mapping[str, np.ndarray], piece: Piece, opened: Mapping[int, Buffer]) -> None:
    """Copies the items of a piece to their rows of their batches, those of one slab at once."""
    rows = np.array([opened[number].start + row for number, row in zip(piece.batch, piece.row, strict=True)])
    slabs = [opened[number].slab for number in piece.batch]
    if all(slab is slabs[0] for slab in slabs):
        for name, array in values.items():
            slabs[0].arrays[name][rows] = array
        return
    for slab in {id(slab): slab for slab in slabs}.values():
        here = [place for place, other in enumerate(slabs) if other is slab]
        for name, array in values.items():
            slab.arrays[name][rows[here]] = array[here]


class Scratch:
    """One thread's memory for a job: small enough to stay in the processor's cache where blocks are."""

    def __init__(self, dataset: Dataset) -> None:
        self._fields = dataset.fields
        self._arrays: dict[str, np.ndarray] = {}
        self._items = 0

    def take(self, items: int) -> dict[str, np.ndarray]:
        """Arrays of ``items`` items in their stored types."""
        if items > self._items:
            self._arrays = {n: np.empty((items, *lengths(f)), f.dtype) for n, f in self._fields.items()}
            self._items = items
        return {name: array[:items] for name, array in self._arrays.items()}
