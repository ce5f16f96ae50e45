"""What is read together, and which row of which batch each item goes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from stemcore.data.order import Epoch, Window, restrict


@dataclass(frozen=True)
class Job:
    """Items of one block to be read at once.

    Attributes:
        indices: the items, in storage order.
        batch, row: for each item the batch that it belongs to and its row there; ascending by batch.
        places: for each of those the place of its item in ``indices``; ``None`` if they are in the same order.
        first, last: batches that must not be past, and that have to be open, for the job to start. They are those of
            all that is permuted together, so that jobs in order of ``first`` never wait for one another.
    """

    indices: np.ndarray
    batch: np.ndarray
    row: np.ndarray
    places: np.ndarray | None
    first: int
    last: int

    @cached_property
    def parts(self) -> list[tuple[int, int, int]]:
        """Each batch that the job reaches into, with the stretch of ``row`` and ``places`` that goes there."""
        cuts = [0, *(np.flatnonzero(np.diff(self.batch)) + 1).tolist(), len(self.batch)]
        return [(int(self.batch[a]), a, b) for a, b in pairwise(cuts)]


@dataclass(frozen=True)
class Plan:
    """The jobs of a sequence of batches.

    Attributes:
        jobs: in the order in which they are needed, that of ``first``.
        numbers: the batches, one after another.
        size: items of a batch, by its number.
    """

    jobs: Iterator[Job]
    numbers: range
    size: Callable[[int], int]


def batch_count(epoch: Epoch, batch_size: int, world: int = 1, drop_last: bool = False) -> int:
    """Batches of an epoch, the same on every process."""
    full, rest = divmod(len(epoch), batch_size * world)
    return full if drop_last or rest < world else full + 1


def shuffled(
    epoch: Epoch, batch_size: int, *, start: int = 0, rank: int = 0, world: int = 1, drop_last: bool = False
) -> Plan:
    """One process's share of the batches of an epoch, from batch ``start`` on.

    Args:
        epoch: the order.
        batch_size: items of a batch per process: the global batch is ``batch_size * world``.
        start: batches to leave out, as already trained on.
        rank, world: this process among how many; it owns the lanes ``rank``, ``rank + world``, ...
        drop_last: leaves out a last batch that is not full.
    """
    numbers = range(start, batch_count(epoch, batch_size, world, drop_last))
    items = len(epoch) // world
    return Plan(_window_jobs(epoch, batch_size, numbers, rank, world), numbers, _cut_at(items, batch_size))


def in_order(
    blocks: Sequence[np.ndarray], indices: np.ndarray, batch_size: int, *, rank: int = 0, world: int = 1
) -> Plan:
    """Batches of the items ``indices`` (sorted), block by block in storage order, every ``world``-th of them: number
    ``k`` of this process is number ``k * world + rank`` of all."""
    kept = restrict(blocks, indices)
    items = sum(map(len, kept))
    size = _cut_at(items, batch_size)

    def jobs() -> Iterator[Job]:
        position = 0
        for block in kept:
            places = np.arange(position, position + len(block))
            position += len(block)
            batch = places // batch_size
            mine = batch % world == rank
            if mine.any():
                batch, row = batch[mine] // world, places[mine] % batch_size
                yield Job(block[mine], batch, row, None, int(batch[0]), int(batch[-1]))

    count = len(range(rank, -(-items // batch_size), world))
    return Plan(jobs(), range(count), lambda number: size(number * world + rank))


def _cut_at(items: int, batch_size: int) -> Callable[[int], int]:
    return lambda number: min(batch_size, items - number * batch_size)


def _window_jobs(epoch: Epoch, batch_size: int, wanted: range, rank: int, world: int) -> Iterator[Job]:
    """The jobs of the windows of this process's lanes, those first that are needed first."""
    own = len(epoch.lanes) // world
    windows: list[tuple[int, int, Window]] = []
    for q in range(own):
        start = 0
        for window in epoch.lanes[rank + q * world]:
            windows.append((start * own + q, q, window))
            start += len(window.order)
    windows.sort(key=lambda entry: entry[0])
    for first, _, window in windows:
        yield from _jobs_of(window, first, own, batch_size, wanted)


def _jobs_of(window: Window, first: int, own: int, batch_size: int, wanted: range) -> Iterator[Job]:
    """The jobs of a window whose items are number ``first``, ``first + own``, ... of this process's items."""
    position = np.empty(len(window.order), np.int64)
    position[window.order] = first + own * np.arange(len(window.order))
    low = max(first // batch_size, wanted.start)
    high = min((first + own * (len(window.order) - 1)) // batch_size, wanted.stop - 1)
    if high < low:
        return
    start = 0
    for piece in window.pieces:
        here = position[start : start + len(piece)]
        start += len(piece)
        batch = here // batch_size
        keep = (batch >= low) & (batch <= high)
        if not keep.all():
            piece, here, batch = piece[keep], here[keep], batch[keep]
        if len(piece):
            places = np.argsort(here, kind="stable")
            yield Job(piece, batch[places], here[places] % batch_size, places, low, high)
