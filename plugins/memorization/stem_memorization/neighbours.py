"""Nearest training items of samples, for sets of any size: blocks of training items go past, a few candidates are kept.

Candidates are found with one product of float32 matrices, of values from which a common centre is taken off: without
that, distances of near copies would drown in rounding. What is reported is computed anew, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

CANDIDATES = 8
BLOCK_BYTES = 64 << 20
"""Of a matrix of queries by training items, and of training items."""


class Search:
    """The nearest training items of queries, by distance and by cosine.

    Args:
        queries: (n, D).
        candidates: training items that are kept for each query.
    """

    def __init__(self, queries: Tensor, candidates: int = CANDIDATES) -> None:
        self._candidates = candidates
        self._raw = queries.flatten(1).float()
        self._norms = self._raw.norm(dim=1)
        self._far = _Best(len(self._raw), candidates, self._raw.device)
        self._apart = _Best(len(self._raw), candidates, self._raw.device)
        self._begun = False

    def _begin(self, centre: Tensor) -> None:
        """Takes a centre off the queries: one of training items, which a query that is out of all bounds does not move
        away from the others."""
        self._centre, self._begun = centre, True
        self._centred = self._raw - centre
        self._squares = self._centred.square().sum(dim=1)
        self._along = self._raw @ centre

    @torch.no_grad()
    def add(self, rows: Tensor, items: Tensor) -> None:
        """Looks at training items.

        Args:
            rows: (m, D).
            items: (m,) their numbers, each of which comes once.
        """
        rows, items = rows.flatten(1).float().to(self._raw.device), items.to(self._raw.device)
        if not self._begun and len(rows):
            self._begin(rows.mean(dim=0))
        size = max(1, BLOCK_BYTES // (4 * max(1, len(self._raw))))
        for here in range(0, len(rows), size):
            self._add(rows[here : here + size], items[here : here + size])

    def _add(self, rows: Tensor, items: Tensor) -> None:
        with full_precision():
            centred = rows - self._centre
            product = self._centred @ centred.T
            # a.b = (a - c).(b - c) + a.c + (b - c).c
            dot = product + self._along[:, None] + (centred @ self._centre)[None]
        squared = self._squares[:, None] + centred.square().sum(dim=1)[None] - 2 * product
        lengths = (self._norms[:, None] * rows.norm(dim=1)[None]).clamp_min(torch.finfo(torch.float32).tiny)
        self._far.add(squared, items)
        self._apart.add(-dot / lengths, items)

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the items that are nearest by distance and by cosine, each (n, k), int64; -1 where there were
        fewer."""
        return self._far.items.cpu().numpy(), self._apart.items.cpu().numpy()


class _Best:
    """The smallest values of each query so far, with their items."""

    def __init__(self, queries: int, count: int, device: torch.device) -> None:
        self.values = torch.full((queries, count), torch.inf, device=device)
        self.items = torch.full((queries, count), -1, dtype=torch.long, device=device)

    def add(self, values: Tensor, items: Tensor) -> None:
        count, most = self.values.shape[1], torch.finfo(values.dtype).max
        values = values.nan_to_num(nan=most, posinf=most, neginf=most)  # beyond float32: farther than all others
        nearest, at = values.topk(min(count, values.shape[1]), dim=1, largest=False)
        both = torch.cat([self.values, nearest], dim=1)
        numbers = torch.cat([self.items, items[at]], dim=1)
        self.values, kept = both.topk(count, dim=1, largest=False)
        self.items = numbers.gather(1, kept)


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 matrices in float32, whatever a recipe has set for training."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class Nearest:
    """What is nearest to each query, in float64.

    Attributes:
        item: (n,) the nearest training item, by distance.
        distance: (n,) to it, L2.
        cosine: (n,) with the training item of the largest cosine.
        cosine_item: (n,) that item.
        distances: (n, k) to the nearest k, rising; infinite where there are fewer.
        items: (n, k) these.
        between: (n, k) from the nearest item to each of them.
    """

    item: np.ndarray
    distance: np.ndarray
    cosine: np.ndarray
    cosine_item: np.ndarray
    distances: np.ndarray
    items: np.ndarray
    between: np.ndarray

    def __getitem__(self, here: slice) -> Nearest:
        return Nearest(*(getattr(self, f.name)[here] for f in fields(self)))

    @staticmethod
    def together(parts: Sequence[Nearest]) -> Nearest:
        """Those of several sets of queries, one after the other."""
        return Nearest(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Nearest)))

    def ratio(self, same: float, usual: float) -> np.ndarray:
        """(n,) distance to the nearest item over that to the next one that is another: below a half, a query is more
        than twice as near to one training item as to any other.

        Args:
            same: training items that are no farther than this from each other count as one.
            usual: distance to compare with where all candidates are one item.
        """
        others = (self.between > same) & (self.items >= 0)
        first = np.where(others.any(axis=1), np.argmax(others, axis=1), 0)
        following = np.where(others.any(axis=1), self.distances[np.arange(len(first)), first], usual)
        ratio: np.ndarray = np.divide(
            self.distance, following, out=np.zeros_like(self.distance), where=(self.distance > 0) & (following > 0)
        )
        return ratio


def nearest(queries: np.ndarray, found: tuple[np.ndarray, np.ndarray], rows: np.ndarray, items: np.ndarray) -> Nearest:
    """Candidates compared anew.

    Args:
        queries: (n, D).
        found: what :meth:`Search.candidates` gave.
        rows: (m, D) the training items among the candidates.
        items: (m,) their numbers, rising.
    """
    far, apart = found
    wide = queries.reshape(len(queries), -1).astype(np.float64)
    rows = rows.reshape(len(rows), -1)
    count = far.shape[1]
    distances, between = np.full((len(wide), count), np.inf), np.zeros((len(wide), count))
    ordered = np.full((len(wide), count), -1)
    cosine, cosine_item = np.zeros(len(wide)), np.zeros(len(wide), np.int64)
    for k, query in enumerate(wide):
        here = far[k][far[k] >= 0]
        near = rows[np.searchsorted(items, here)].astype(np.float64)
        away = np.sqrt(np.square(near - query).sum(axis=1))
        order = np.argsort(away, kind="stable")
        distances[k, : len(here)], ordered[k, : len(here)] = away[order], here[order]
        between[k, : len(here)] = np.sqrt(np.square(near[order] - near[order[0]]).sum(axis=1))
        alike = apart[k][apart[k] >= 0]
        cosines = _cosine(query, rows[np.searchsorted(items, alike)].astype(np.float64))
        cosine[k], cosine_item[k] = cosines.max(), alike[int(np.argmax(cosines))]
    return Nearest(ordered[:, 0], distances[:, 0], cosine, cosine_item, distances, ordered, between)


def _cosine(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.square(rows).sum(axis=1)) * np.sqrt(np.square(query).sum())
    cosines: np.ndarray = np.divide(rows @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return cosines
