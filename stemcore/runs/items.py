"""Items of a run's own data, as stored."""

from __future__ import annotations

import numpy as np

from stemcore.assemble.sources import Sources
from stemcore.data.source import Source


class Items:
    """Items of a data set.

    Attributes:
        index: (n,) their numbers in it.
        names: the name of each, where the data set has names.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.index = source.indices
        names = source.dataset.item_names
        self.names = None if names is None else tuple(names[i] for i in self.index.tolist())

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


def items_of(sources: Sources) -> dict[str, Items]:
    """What trains, validates (``val``) and tests, as far as it is there."""
    parts = {"train": sources.train, "val": sources.val, "test": sources.test}
    return {name: Items(source) for name, source in parts.items() if source is not None}
