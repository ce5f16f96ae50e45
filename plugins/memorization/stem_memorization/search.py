"""The nearest training items of queries, in as many passes over the training items as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stem_memorization.neighbours import CANDIDATES, Nearest, Search, nearest

GROUP_BYTES = 256 << 20
"""Of queries that are compared in one pass."""
SOME_BYTES = 32 << 20
"""Of queries whose candidates are fetched at once, and of training items that are compared at once."""
SOME_ITEMS = 2048


class TrainingItems(Protocol):
    """Training items, in the space that is compared."""

    @property
    def device(self) -> torch.device:
        """Where they are compared."""

    def each(self, take: Callable[[Tensor, Tensor], None]) -> None:
        """Hands over all of them, batch by batch: values (n, ...), and their numbers (n,)."""

    def rows(self, items: np.ndarray) -> np.ndarray:
        """Some of them (m, ...), by their numbers, rising."""


def search(training: TrainingItems, queries: np.ndarray, not_itself: np.ndarray | None = None) -> Nearest:
    """The nearest training items of queries.

    Args:
        training: at least three items.
        queries: (n, ...) in the same space.
        not_itself: (n,) a training item that does not count for a query, -1 for none.
    """
    own = np.full(len(queries), -1) if not_itself is None else not_itself
    groups = [_searched(training, queries[here], own[here]) for here in _slices(queries, GROUP_BYTES)]
    return Nearest.together(groups)


def _searched(training: TrainingItems, queries: np.ndarray, own: np.ndarray) -> Nearest:
    finder = Search(torch.from_numpy(queries).to(training.device), CANDIDATES + 1)
    gathered = _Gathered(finder)
    training.each(gathered)
    gathered.flush()
    far, apart = (_without(found, own) for found in finder.candidates())
    parts = []
    for here in _slices(queries, SOME_BYTES):
        items = np.unique(np.concatenate([far[here].ravel(), apart[here].ravel()]))
        items = items[items >= 0]
        parts.append(nearest(queries[here], (far[here], apart[here]), training.rows(items), items))
    return Nearest.together(parts)


class _Gathered:
    """Batches put together to blocks: one product of large matrices is worth many of small ones."""

    def __init__(self, finder: Search) -> None:
        self._finder = finder
        self._rows: list[Tensor] = []
        self._items: list[Tensor] = []
        self._count = 0

    def __call__(self, rows: Tensor, items: Tensor) -> None:
        self._rows.append(rows)
        self._items.append(items)
        self._count += len(rows)
        if self._count >= SOME_ITEMS or self._count * rows[0].numel() * 4 > SOME_BYTES:
            self.flush()

    def flush(self) -> None:
        """Compares what is there."""
        if self._rows:
            self._finder.add(torch.cat(self._rows), torch.cat(self._items))
        self._rows, self._items, self._count = [], [], 0


def _without(found: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Candidates (n, k + 1) without the item that does not count, or else the last, (n, k)."""
    left_out = (found == own[:, None]) & (found >= 0)
    left_out[~left_out.any(axis=1), -1] = True
    return found[~left_out].reshape(len(found), -1)


def _slices(queries: np.ndarray, most: int) -> Iterator[slice]:
    size = max(1, most // max(1, queries[0].nbytes))
    return (slice(first, first + size) for first in range(0, len(queries), size))
