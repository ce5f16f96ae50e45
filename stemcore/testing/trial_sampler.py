"""Trying out a sampler: blocks of items, and data that it can look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.component.fields import FieldSpec
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import built
from stemcore.testing.examples import SamplerExample
from stemcore.testing.promises import Broken, NotApplicable, ensure
from stemcore.testing.subject import Subject

SEED = 20
LABELS = np.array([0, 0, 1, 0, -1, 0, 2, 0, 1, 0, 0], np.int64)

Blocks = Sequence[np.ndarray]


class SmallFields(Dataset):
    """Data whose items are a pixel, and what a sampler may go by.

    Args:
        items: their number.
        values: fields (items, ...) by name.
    """

    def __init__(self, items: int, values: Mapping[str, np.ndarray]) -> None:
        self.items = items
        self.held = {"input": np.zeros((items, 1, 1, 1), np.float32), **values}

    def __len__(self) -> int:
        return self.items

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input`` and the small fields."""
        return {name: FieldSpec(name, held.shape[1:], held.dtype.name) for name, held in self.held.items()}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices``."""
        return {name: held[indices] for name, held in self.held.items()}


def some_blocks(subject: Subject) -> list[np.ndarray]:
    """The training blocks: those of its example, else 40 of 1 to 12 items, with gaps where validation items were."""
    given = [np.asarray(block, np.int64) for block in subject.promised(SamplerExample).blocks]
    if given:
        return given
    items = np.setdiff1d(np.arange(320), np.arange(5, 320, 6))
    return np.split(items, np.cumsum([1 + (5 * k) % 12 for k in range(39)]))


def data_of(subject: Subject) -> SmallFields:
    """The data that the items of its blocks are of."""
    count = int(np.concatenate(some_blocks(subject)).max()) + 1
    values = subject.promised(SamplerExample).values or {"label": np.tile(LABELS, -(-count // len(LABELS)))[:count]}
    return SmallFields(count, {name: np.asarray(value) for name, value in values.items()})


def bound(subject: Subject, blocks: Blocks | None = None) -> Any:
    """The sampler, which has looked at the data of ``blocks``, all training blocks without them.

    Raises:
        Broken: if it raises anything but a ``UserError``.
        NotApplicable: for a ``UserError``, since it may go by something that these data lack.
    """
    sampler = built(subject)
    bind(sampler, data_of(subject), some_blocks(subject) if blocks is None else blocks)
    return sampler


def bind(sampler: Any, data: Dataset, blocks: Blocks) -> None:
    """Binds a sampler, and says what it raised."""
    try:
        sampler.bind(data, np.sort(np.concatenate(blocks)))
    except UserError as error:
        raise NotApplicable(f"it refuses the data ({error}): give an example with its 'values'") from error
    except Exception as error:
        raise Broken(f"bind raised {cause_of(error)}") from error


def epoch_of(sampler: Any, blocks: Blocks, seed: int = SEED) -> list[np.ndarray]:
    """The blocks of an epoch, checked to be arrays of indices."""
    chosen = sampler.epoch([block.copy() for block in blocks], np.random.default_rng(seed))
    sequence = hasattr(chosen, "__len__") and hasattr(chosen, "__getitem__")
    ensure(sequence, f"epoch returned {type(chosen).__name__}, which is no sequence of blocks")
    for number, block in enumerate(chosen):
        ensure(isinstance(block, np.ndarray), f"block {number} is {type(block).__name__}, no NumPy array")
        flat = block.ndim == 1 and block.dtype.kind in "iu"
        ensure(flat, f"block {number} has shape {block.shape} and type {block.dtype}: right are (n,) whole numbers")
    return list(chosen)


def same(first: Blocks, second: Blocks) -> bool:
    """Whether two epochs have the same blocks."""
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
