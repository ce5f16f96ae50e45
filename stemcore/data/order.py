"""The shuffled order of an epoch: random blocks, cut into lanes, permuted within windows.

The blocks of the training split are put in random order, and that sequence is cut into a fixed number of lanes of equal
length. A lane is read window by window, each as many blocks as its share of the buffer holds, and the items of a window
are permuted. Item ``k`` of the epoch is item ``k // lanes`` of lane ``k % lanes``: a batch mixes blocks from all over
the data, the order depends on nothing but seed and epoch, and processes that own lanes see the same global batches
however many they are. The ``len % lanes`` items at the end of the sequence rotate out for that epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemcore.component.sampler import Sampler

LANES = 8
FEWEST_PER_LANE = 8


@dataclass(frozen=True)
class Window:
    """Items read together. ``indices`` are in storage order, ``order`` is the order in which they are handed out."""

    indices: np.ndarray
    order: np.ndarray


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch: a list of windows for each lane, every lane with ``length`` items."""

    lanes: list[list[Window]]
    length: int

    def __len__(self) -> int:
        return self.length * len(self.lanes)

    def sequence(self) -> np.ndarray:
        """The item index at every position of the epoch."""
        lanes = [np.concatenate([w.indices[w.order] for w in lane]) for lane in self.lanes]
        return np.stack(lanes, axis=1).reshape(-1)


def restrict(blocks: Sequence[np.ndarray], indices: np.ndarray) -> list[np.ndarray]:
    """The blocks with only the items of ``indices`` (sorted) left in them; empty ones dropped."""
    wanted = np.zeros(max((int(block.max()) for block in blocks if len(block)), default=-1) + 1, dtype=bool)
    wanted[indices] = True
    kept = (block[wanted[block]] for block in blocks)
    return [block for block in kept if len(block)]


def lane_count(items: int) -> int:
    """The number of lanes of a training split: fixed, but for one too small to be spread over them."""
    return LANES if items >= LANES * FEWEST_PER_LANE else 1


def plan_epoch(
    blocks: Sequence[np.ndarray],
    *,
    seed: int,
    epoch: int,
    item_bytes: int,
    buffer_bytes: float,
    sampler: Sampler | None = None,
) -> Epoch:
    """The order of epoch number ``epoch``.

    Args:
        blocks: the training split's blocks.
        seed, epoch: what the order depends on.
        item_bytes: size of a stored item.
        buffer_bytes: size of all windows open at a time; a window holds one block at least.
        sampler: chooses the blocks first, if given.
    """
    rng = np.random.default_rng([seed, epoch, 0xB10C])
    if sampler is not None:
        blocks = sampler.epoch(blocks, rng)
    shuffled = [blocks[i] for i in rng.permutation(len(blocks))]
    total = sum(len(b) for b in shuffled)
    lanes = lane_count(total)
    length = total // lanes
    most = max(1, int(buffer_bytes / max(1, item_bytes) / lanes))
    pieces = _cut(shuffled, [length * (i + 1) for i in range(lanes)])
    return Epoch([[_window(group, rng) for group in _windows(lane, most)] for lane in pieces], length)


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


def _windows(pieces: Sequence[np.ndarray], most: int) -> list[list[np.ndarray]]:
    groups: list[list[np.ndarray]] = []
    held = most
    for piece in pieces:
        if held + len(piece) > most:
            groups.append([])
            held = 0
        groups[-1].append(piece)
        held += len(piece)
    return groups


def _window(pieces: Sequence[np.ndarray], rng: np.random.Generator) -> Window:
    indices = np.concatenate(pieces)
    return Window(indices, rng.permutation(len(indices)))
