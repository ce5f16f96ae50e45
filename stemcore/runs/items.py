"""Items of a run's own data, as stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemcore.assemble.sources import Sources
from stemcore.data.source import whole
from stemcore.errors import UserError


@dataclass(frozen=True)
class Items:
    """Items of a data set.

    Attributes:
        index: (n,) their numbers in it.
        names: the name of each, where the data set has names.
        arrays: their fields as stored, each (n, *shape).
    """

    index: np.ndarray
    names: tuple[str, ...] | None
    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)


def items_of(sources: Sources, part: str) -> Items:
    """The items of one part of the data: ``train``, ``val``, ``test``, or ``all`` of the training data set's.

    Raises:
        UserError: if there is no such part.
    """
    parts = {"train": sources.train, "val": sources.val, "test": sources.test, "all": whole(sources.train.dataset)}
    if part not in parts:
        raise UserError(f"'{part}' is no part of the data", hint=f"choose one of {', '.join(parts)}")
    source = parts[part]
    if source is None:
        there = ", ".join(name for name, found in parts.items() if found is not None)
        raise UserError(f"the run has no items for '{part}'", where=f"data.{part}", hint=f"there are {there}")
    names = source.dataset.item_names
    chosen = None if names is None else tuple(names[i] for i in source.indices.tolist())
    return Items(source.indices, chosen, source.dataset.read(source.indices))
