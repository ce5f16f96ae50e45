"""What is read together, and which row of which batch each item goes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stemcore.data.order import Epoch, Window, restrict


@dataclass(frozen=True)
class Piece:
    """Items of one block, read at once.

    Attributes:
        indices: the items, in storage order.
        batch, row: for each item the batch that it belongs to and its row there.
        straight: whether all items go to one batch, to rows in the same order, one behind the other.
    """

    indices: np.ndarray
    batch: list[int]
    row: list[int]
    straight: bool = False


@dataclass(frozen=True)
class Job:
    """Pieces that one thread reads.

    Attributes:
        pieces: one after another.
        counts: the batches that the job reaches into, each with its number of items.
        first, last: the batch that needs the job, and the last one that has to be open for it. They are those of all
            that is permuted together, so that jobs in order of ``first`` never wait for one another.
    """

    pieces: list[Piece]
    counts: dict[int, int]
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """The batches of one process, and how to read them.

    Attributes:
        jobs: in the order in which they are needed, that of ``first``.
        sequence: the items of the batches from number 0 on, one batch behind the other.
        batch_size: items of a batch; only the last one may have fewer.
        numbers: the batches to be handed out.
    """

    jobs: Iterator[Job]
    sequence: np.ndarray
    batch_size: int
    numbers: range

    def items(self, number: int) -> np.ndarray:
        """The items of a batch."""
        return self.sequence[number * self.batch_size : (number + 1) * self.batch_size]


def batch_count(items: int, batch_size: int, world: int = 1, drop_last: bool = False) -> int:
    """Batches of an epoch of ``items``, the same on every process."""
    full, rest = divmod(items, batch_size * world)
    return full if drop_last or rest < world else full + 1


def shuffled(
    epoch: Epoch,
    batch_size: int,
    *,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    drop_last: bool = False,
    limit: int | None = None,
    together: int = 1,
) -> Plan:
    """One process's share of the batches of an epoch, from batch ``start`` on.

    Args:
        epoch: the order.
        batch_size: items of a batch per process: the global batch is ``batch_size * world``.
        start: batches to leave out, as already trained on.
        rank, world: this process among how many; it owns the lanes ``rank``, ``rank + world``, ..., or every
            ``world``-th item where there are too few lanes.
        drop_last: leaves out a last batch that is not full.
        limit: batches of the epoch, those left out at its start among them; ``None`` for all.
        together: items of a job, unless a block alone has more.
    """
    count = batch_count(len(epoch), batch_size, world, drop_last)
    numbers = range(start, count if limit is None else min(count, limit))
    jobs = _window_jobs(epoch.lanes, batch_size, numbers, together, rank, world)
    return Plan(jobs, epoch.share(rank, world), batch_size, numbers)


def in_order(
    blocks: Sequence[np.ndarray],
    indices: np.ndarray,
    batch_size: int,
    *,
    rank: int = 0,
    world: int = 1,
    together: int = 1,
    limit: int | None = None,
) -> Plan:
    """Batches of the items ``indices`` (sorted), block by block in storage order, every ``world``-th of them: number
    ``k`` of this process is number ``k * world + rank`` of all. Each process gets ``limit`` batches at most."""
    kept = restrict(blocks, indices)
    if limit is not None:
        kept = _first_items(kept, limit * batch_size * world)
    everything = np.concatenate([*kept, np.empty(0, np.int64)])
    numbers = range(rank, -(-len(everything) // batch_size), world)
    mine = [everything[n * batch_size : (n + 1) * batch_size] for n in numbers]
    sequence = np.concatenate([*mine, np.empty(0, np.int64)])
    jobs = _grouped(_ordered_pieces(kept, batch_size, rank, world), together)
    return Plan(jobs, sequence, batch_size, range(len(numbers)))


def _first_items(blocks: Sequence[np.ndarray], items: int) -> list[np.ndarray]:
    starts = np.cumsum([0, *map(len, blocks)])
    return [block[: items - start] for block, start in zip(blocks, starts.tolist(), strict=False) if start < items]


def _ordered_pieces(blocks: Sequence[np.ndarray], batch_size: int, rank: int, world: int) -> Iterator[Piece]:
    position = 0
    for block in blocks:
        batch, row = np.divmod(np.arange(position, position + len(block)), batch_size)
        position += len(block)
        if world > 1:
            mine = batch % world == rank
            block, batch, row = block[mine], batch[mine] // world, row[mine]
        if len(block):
            yield Piece(block, batch.tolist(), row.tolist(), straight=bool(batch[0] == batch[-1]))


def _window_jobs(
    lanes: Sequence[Sequence[Window]], batch_size: int, wanted: range, together: int, rank: int, world: int
) -> Iterator[Job]:
    """The jobs of the windows that a process has items in, those first that are needed first. Item ``k`` of lane ``q``
    of ``n`` lanes is number ``k * n + q`` of the epoch; numbers ``rank``, ``rank + world``, ... are the process's."""
    windows: list[tuple[int, Window]] = []
    shared = len(lanes) % world > 0
    for q, lane in enumerate(lanes):
        if not shared and q % world != rank:
            continue
        start = 0
        for window in lane:
            windows.append((start * len(lanes) + q, window))
            start += len(window.order)
    windows.sort(key=lambda entry: entry[0])
    for first, window in windows:
        number = np.empty(len(window.order), np.int64)
        number[window.order] = first + len(lanes) * np.arange(len(window.order))
        mine, position = number % world == rank, number // world
        if not mine.any():
            continue
        low = max(int(position[mine].min()) // batch_size, wanted.start)
        high = min(int(position[mine].max()) // batch_size, wanted.stop - 1)
        yield from _grouped(_pieces_of(window, position, mine, batch_size, low, high), together, (low, high))


def _pieces_of(
    window: Window, position: np.ndarray, mine: np.ndarray, batch_size: int, low: int, high: int
) -> Iterator[Piece]:
    """The pieces of a window, of which only the process's items of batches ``low`` to ``high`` are wanted."""
    batch, row = np.divmod(position, batch_size)
    keep = mine & (batch >= low) & (batch <= high)
    everything = bool(keep.all())
    start = 0
    for piece in window.pieces:
        here = slice(start, start + len(piece))
        start += len(piece)
        if everything:
            yield Piece(piece, batch[here].tolist(), row[here].tolist())
        elif (some := keep[here]).any():
            yield Piece(piece[some], batch[here][some].tolist(), row[here][some].tolist())


def _grouped(pieces: Iterator[Piece], together: int, reach: tuple[int, int] | None = None) -> Iterator[Job]:
    """Jobs of several pieces: taking up a job costs as much as decoding a small one. ``reach`` is the first and last
    batch of all of them, if those are not to be each job's own."""
    group: list[Piece] = []
    items = 0
    for piece in pieces:
        if group and items + len(piece.indices) > together:
            yield _job(group, reach)
            group, items = [], 0
        group.append(piece)
        items += len(piece.indices)
    if group:
        yield _job(group, reach)


def _job(pieces: list[Piece], reach: tuple[int, int] | None) -> Job:
    counts = Counter(number for piece in pieces for number in piece.batch)
    first, last = reach or (min(counts), max(counts))
    return Job(pieces, counts, first, last)
