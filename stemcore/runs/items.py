"""Items of a data set, as stored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stemcore.assemble.sources import Sources, spec_of
from stemcore.data.source import Source


class Items:
    """Items of a data set.

    Attributes:
        index: (n,) their numbers in it.
        names: the name of each, where the data set has names.
        groups, parts: (n,) the group of each, and what each is for, where the data set says so.
        spec: the fields as stored.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.index = source.indices
        names = source.dataset.item_names
        self.names = None if names is None else tuple(names[i] for i in self.index.tolist())
        groups, parts = source.dataset.groups, source.dataset.parts
        self.groups = None if groups is None else np.asarray(groups)[self.index]
        self.parts = None if parts is None else np.asarray(parts)[self.index]
        self.spec = spec_of(source.dataset)

    def __len__(self) -> int:
        return len(self.index)

    def read(self) -> dict[str, np.ndarray]:
        """All of their fields as stored, each (n, *shape).

        Raises:
            UserError: if an item cannot be read.
        """
        try:
            return self._source.dataset.read(self.index)
        finally:
            self._source.dataset.close()

    def batches(self, size: int, at: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """As :meth:`read`, ``size`` items at a time, for data that memory does not hold.

        Args:
            size: items of a batch.
            at: (m,) which of the items, counted among them from 0; all without it.

        Yields:
            Which items (k,), counted likewise, and their fields (k, *shape).
        """
        wanted = np.arange(len(self)) if at is None else np.asarray(at)
        try:
            for begin in range(0, len(wanted), size):
                these = wanted[begin : begin + size]
                yield these, self._source.dataset.read(self.index[these])
        finally:
            self._source.dataset.close()


def items_of(sources: Sources) -> dict[str, Items]:
    """What trains, validates (``val``) and tests, as far as it is there."""
    parts = {"train": sources.train, "val": sources.val, "test": sources.test}
    return {name: Items(source) for name, source in parts.items() if source is not None}
