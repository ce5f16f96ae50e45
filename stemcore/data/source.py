"""Items of a data set, and where they are kept once read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.data.cache import Cache


@dataclass(frozen=True)
class Source:
    """Items of a data set: ``indices`` are sorted. ``cache`` keeps what was read, for all sources of the data set."""

    dataset: Dataset
    indices: np.ndarray
    cache: Cache | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.indices)

    def only(self, indices: np.ndarray) -> Source:
        """Other items of the same data set."""
        return Source(self.dataset, indices, self.cache)

    def first(self, count: int) -> Source:
        """The source cut to its first ``count`` items."""
        return self.only(self.indices[:count])


def whole(dataset: Dataset) -> Source:
    """Every item of a data set."""
    return Source(dataset, np.arange(len(dataset)))
