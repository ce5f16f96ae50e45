"""Trying out a data set: a few of its items, and whether they are read alike."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Barrier, BrokenBarrierError
from typing import TypeVar

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.component.fields import FieldSpec
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import built
from stemcore.testing.promises import Broken, NotApplicable, ensure
from stemcore.testing.spawned import end_spawned_process, in_spawned_process
from stemcore.testing.subject import Subject

FEW = 24
MOST_BYTES = 64 << 20
THREADS = 3
SECONDS_TOGETHER, SECONDS_BETWEEN_READS = 0.2, 0.02

Rows = Mapping[str, np.ndarray]
T = TypeVar("T")


@contextmanager
def opened(subject: Subject) -> Iterator[Dataset]:
    """The data set of a subject, closed afterwards."""
    dataset = built(subject)
    try:
        yield dataset
    finally:
        dataset.close()


def some_items(dataset: Dataset) -> np.ndarray:
    """Up to 24 items from the first to the last, ascending, int64.

    Raises:
        NotApplicable: if there are none.
    """
    count = len(dataset)
    if count == 0:
        raise NotApplicable("its example has no items")
    return np.unique(np.linspace(0, count - 1, min(count, FEW)).astype(np.int64))


def many_items(dataset: Dataset) -> np.ndarray:
    """All items, or the first block where all would take more than 64 MB."""
    sizes = (np.dtype(spec.dtype).itemsize * spec.size for spec in dataset.fields.values() if None not in spec.shape)
    if len(dataset) * sum(sizes) <= MOST_BYTES:
        return np.arange(len(dataset))
    return np.asarray(dataset.blocks()[0], np.int64)


def read(dataset: Dataset, indices: np.ndarray, what: str) -> Rows:
    """Items, read.

    Raises:
        Broken: if reading raises anything.
    """
    try:
        return dataset.read(indices)
    except Exception as error:
        raise Broken(f"read of {what} raised {cause_of(error)}") from error


def one_by_one(dataset: Dataset, items: np.ndarray) -> dict[int, Rows]:
    """Each item, read by itself and copied."""
    return {int(item): _copied(dataset.read(np.array([item], np.int64))) for item in items}


def _copied(rows: Rows) -> Rows:
    return {name: np.array(values) for name, values in rows.items()}


def ensure_alike(dataset: Dataset, seen: Rows, items: np.ndarray, expected: Mapping[int, Rows], what: str) -> None:
    """Raises :class:`Broken` where what was read of ``items`` is not ``expected``, one by one; items that this lacks
    are passed over."""
    for name, spec in dataset.fields.items():
        ensure(name in seen, f"read of {what} gave no '{name}', only {', '.join(seen) or 'nothing'}")
        values = np.asarray(seen[name])
        count = len(values) if values.ndim else 0
        ensure(count == len(items), f"read of {what} gave {count} values of '{name}' for {len(items)} items")
        for place, item in enumerate(map(int, items)):
            if item in expected and not _same(values[place], expected[item][name][0], spec):
                raise Broken(f"read of {what}: '{name}' of item {item} is another than read by itself before")


def _same(value: np.ndarray, expected: np.ndarray, spec: FieldSpec) -> bool:
    # Items of a varying shape may be padded to the largest that they are read with.
    if np.shape(value) != np.shape(expected):
        return None in spec.shape
    return np.array_equal(value, expected, equal_nan=np.asarray(value).dtype.kind in "fc")


def ensure_declared(dataset: Dataset, items: np.ndarray, of: str) -> None:
    """Raises :class:`Broken` where what is read does not have the names, shapes and types that ``fields`` declares."""
    fields, rows, count = dataset.fields, read(dataset, items, of), len(items)
    ensure(isinstance(rows, Mapping), f"read of {of} returned {type(rows).__name__}, not a mapping of arrays")
    ensure(set(rows) == set(fields), f"read of {of} returned {sorted(rows)}, fields declares {sorted(fields)}")
    for name, spec in fields.items():
        values = rows[name]
        ensure(isinstance(values, np.ndarray), f"read of {of}: '{name}' is {type(values).__name__}, no NumPy array")
        right = len(values.shape) == 1 + len(spec.shape) and values.shape[0] == count
        right = right and all(n in (None, m) for n, m in zip(spec.shape, values.shape[1:], strict=True))
        ensure(right, f"read of {of}: '{name}' has shape {values.shape}, not {(count, *spec.shape)}")
        ensure(
            values.dtype == np.dtype(spec.dtype),
            f"read of {of}: '{name}' is {values.dtype.str} ({values.dtype}), declared is {spec.dtype}",
        )


def pickled(dataset: Dataset) -> bytes:
    """The data set as it is sent to another process.

    Raises:
        Broken: if it cannot be.
    """
    try:
        return pickle.dumps(dataset)
    except Exception as error:
        raise Broken(f"it cannot be pickled once it was read: {cause_of(error)}") from error


def read_pickled(data: bytes, items: np.ndarray, seconds: float = 0.0) -> dict[str, np.ndarray] | str:
    """Unpickles a data set and reads items, again and again for some time; what went wrong as text, which can always
    be sent."""
    try:
        dataset: Dataset = pickle.loads(data)
        rows = dataset.read(items)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rows = dataset.read(items)
        dataset.close()
        return dict(_copied(rows))
    except Exception as error:
        return cause_of(error)


def read_by_both(dataset: Dataset, items: np.ndarray, limit: float = 60.0) -> tuple[Rows, Rows | str]:
    """Items as read here while another process reads them too, and as read there, or what went wrong.

    Args:
        dataset: the items.
        items: which of them.
        limit: seconds after which the other process is taken to wait for this one.
    """
    data = pickled(dataset)
    in_spawned_process(time.monotonic)  # Starting it may take longer than reading.
    with ThreadPoolExecutor(1) as waiting:
        there = waiting.submit(in_spawned_process, read_pickled, data, items, SECONDS_TOGETHER)
        try:
            here = dataset.read(items)
            end = time.monotonic() + limit
            while not wait([there], SECONDS_BETWEEN_READS).done and time.monotonic() < end:
                here = dataset.read(items)
        finally:
            waited = not there.done()
            if waited:
                end_spawned_process()
    try:
        return here, there.result()
    except BrokenProcessPool as error:
        return here, "no answer: does it wait for this one to be done?" if waited else f"no answer: {error}"


def read_by_several(dataset: Dataset, items: np.ndarray) -> list[tuple[np.ndarray, Rows | str]]:
    """Every third of the items as read by each of three threads while the others read, for some time; the last that
    each asked for and got, or the first thing that went wrong."""
    together = Barrier(THREADS)

    def work(number: int) -> tuple[np.ndarray, Rows | str]:
        mine = items[number % len(items) :: THREADS]
        first = dict(_copied(dataset.read(mine)))
        together.wait()
        until = time.monotonic() + SECONDS_TOGETHER
        seen: Rows = first
        while time.monotonic() < until:
            seen = dataset.read(mine)
            if not all(np.array_equal(seen[n], v, equal_nan=v.dtype.kind in "fc") for n, v in first.items()):
                break
        return mine, seen

    def told(number: int) -> tuple[np.ndarray, Rows | str]:
        try:
            return work(number)
        except BrokenBarrierError:
            return items[:0], "another thread failed"
        except Exception as error:
            together.abort()
            return items[:0], cause_of(error)

    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(told, range(THREADS)))
    return sorted(found, key=lambda pair: isinstance(pair[1], str) and pair[1] == "another thread failed")


def in_another_thread(call: Callable[[], T]) -> T:
    """What a call returns in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()
