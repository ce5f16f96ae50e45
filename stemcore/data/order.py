"""The shuffled order of an epoch: random blocks, cut into lanes, permuted within windows.

The blocks of the training split are put in random order, and that sequence is cut into a fixed number of lanes of equal
length. A lane is read window by window, each as many blocks as its share of the buffer holds, and the items of a window
are permuted. Item ``k`` of the epoch is item ``k // lanes`` of lane ``k % lanes``: a batch mixes blocks from all over
the data, and the order depends on nothing but seed and epoch. Of ``world`` processes, number ``r`` gets every
``world``-th item from the ``r``-th on, which are those of the lanes that it owns: all together see the same global
batches however many they are. The ``len % lanes`` items at the end of the sequence rotate out for that epoch.

The first window of each lane is shorter than the next, each lane's by another amount, so that the windows do not all
end at once: the storage is read at an even pace, and a first batch does not wait for a whole buffer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stemcore.component.sampler import Sampler

LANES = 8
FEWEST_PER_LANE = 8
AHEAD = 1.5
"""Bytes of the buffer for each byte in the windows: the rest lets the next windows be read before the last ones end."""


@dataclass(frozen=True)
class Window:
    """Items permuted together. ``pieces`` are those of one block each, in storage order; ``order`` is the order in
    which the items of all pieces are handed out."""

    pieces: tuple[np.ndarray, ...]
    order: np.ndarray

    @cached_property
    def indices(self) -> np.ndarray:
        """The items of all pieces."""
        return np.concatenate(self.pieces)


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch: a list of windows for each lane, every lane with ``length`` items."""

    lanes: list[list[Window]]
    length: int

    def __len__(self) -> int:
        return self.length * len(self.lanes)

    def sequence(self) -> np.ndarray:
        """The item index at every position of the epoch."""
        return self.share(0, 1)

    def share(self, rank: int, world: int) -> np.ndarray:
        """The items of one process among ``world``, in the order in which it gets them: every ``world``-th one."""
        if len(self.lanes) % world:
            return self.share(0, 1)[rank::world]
        lanes = [np.concatenate([w.indices[w.order] for w in lane]) for lane in self.lanes[rank::world]]
        return np.stack(lanes, axis=1).reshape(-1).astype(np.int64, copy=False)


def restrict(blocks: Sequence[np.ndarray], indices: np.ndarray) -> list[np.ndarray]:
    """The blocks with only the items of ``indices`` (sorted) left in them; empty ones dropped."""
    wanted = np.zeros(max((int(block.max()) for block in blocks if len(block)), default=-1) + 1, dtype=bool)
    wanted[indices] = True
    kept = (block[wanted[block]] for block in blocks)
    return [block for block in kept if len(block)]


def lane_count(items: int, block_bytes: float = 0, buffer_bytes: float = math.inf, world: int = 1) -> int:
    """The number of lanes of a training split, which the data and the buffer decide: eight, or one where there are too
    few items to be spread over them, or fewer where the buffer does not hold a block for each.

    The number of processes has a say only where it does not divide that number: every process owns as many lanes. A
    single lane of few items is shared by all, which costs little.
    """
    if items < LANES * FEWEST_PER_LANE:
        return 1
    lanes = LANES
    while lanes > 1 and lanes * block_bytes * AHEAD > buffer_bytes:
        lanes //= 2
    return -(-lanes // world) * world


def plan_epoch(
    blocks: Sequence[np.ndarray],
    *,
    seed: int,
    epoch: int,
    item_bytes: int,
    buffer_bytes: float,
    sampler: Sampler | None = None,
    world: int = 1,
) -> Epoch:
    """The order of epoch number ``epoch``.

    Args:
        blocks: the training split's blocks.
        seed, epoch: what the order depends on.
        item_bytes: size of a stored item.
        buffer_bytes: size of what is held in memory at a time; a window holds one block at least.
        sampler: chooses the blocks first, if given.
        world: number of processes.
    """
    rng = _random(seed, epoch)
    if sampler is not None:
        blocks = sampler.epoch(blocks, rng)
    shuffled = [blocks[i] for i in rng.permutation(len(blocks))]
    lanes, length = _lanes(blocks, item_bytes, buffer_bytes, world)
    most = max(1, int(buffer_bytes / AHEAD / max(1, item_bytes) / lanes))
    pieces = _cut(shuffled, [length * (i + 1) for i in range(lanes)])
    windows = [_windows(lane, most * (i + 1) // lanes, most) for i, lane in enumerate(pieces)]
    return Epoch([[_window(group, rng) for group in lane] for lane in windows], length)


def epoch_length(
    blocks: Sequence[np.ndarray],
    *,
    seed: int,
    epoch: int,
    item_bytes: int,
    buffer_bytes: float,
    sampler: Sampler | None = None,
    world: int = 1,
) -> int:
    """Items of the epoch that :func:`plan_epoch` would plan, without planning it."""
    if sampler is not None:
        blocks = sampler.epoch(blocks, _random(seed, epoch))
    lanes, length = _lanes(blocks, item_bytes, buffer_bytes, world)
    return lanes * length


def _random(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, 0xB10C])


def _lanes(blocks: Sequence[np.ndarray], item_bytes: int, buffer_bytes: float, world: int) -> tuple[int, int]:
    """The number of lanes, and the items of each."""
    sizes = [len(block) for block in blocks]
    lanes = lane_count(sum(sizes), max(sizes, default=0) * item_bytes, buffer_bytes, world)
    return lanes, sum(sizes) // lanes


def _cut(blocks: Sequence[np.ndarray], ends: Sequence[int]) -> list[list[np.ndarray]]:
    """Cuts the sequence of blocks at the positions ``ends``; a block on an end is cut in two."""
    lanes: list[list[np.ndarray]] = [[] for _ in ends]
    position = lane = 0
    for block in blocks:
        rest = block
        while len(rest) and lane < len(ends):
            room = ends[lane] - position
            piece, rest = rest[:room], rest[room:]
            if len(piece):
                lanes[lane].append(piece)
            position += len(piece)
            if position == ends[lane]:
                lane += 1
    return lanes


def _windows(pieces: Sequence[np.ndarray], first: int, most: int) -> list[list[np.ndarray]]:
    """Groups of pieces with at most ``most`` items, the first group at most ``first``; one piece at least."""
    groups: list[list[np.ndarray]] = []
    room = 0
    for piece in pieces:
        if len(piece) > room:
            room = most if groups else first
            groups.append([])
        groups[-1].append(piece)
        room -= len(piece)
    return groups


def _window(pieces: Sequence[np.ndarray], rng: np.random.Generator) -> Window:
    return Window(tuple(pieces), rng.permutation(sum(map(len, pieces))))
