"""Samplers: which items an epoch visits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from stemcore.component.dataset import Dataset


class Sampler(ABC):
    """Chooses the blocks of an epoch; shuffling within and between them is the core's."""

    @property
    def fields(self) -> Sequence[str]:
        """The fields of the data that it goes by: a recipe whose data lack one is refused."""
        return ()

    def bind(self, dataset: Dataset, indices: np.ndarray) -> None:
        """Called once, before the first epoch, in every process alike: here a sampler looks at the data.

        Args:
            dataset: the training data; ``dataset.values(field)`` reads a small field of all its items.
            indices: the items that are trained on, ascending.

        Raises:
            UserError: if it cannot go by these data.
        """

    @abstractmethod
    def epoch(self, blocks: Sequence[np.ndarray], rng: np.random.Generator) -> Sequence[np.ndarray]:
        """The epoch's blocks, given all training blocks (arrays of item indices). Items may be left out or repeated;
        epochs of different lengths are cut to the shortest of the run. ``rng`` is seeded by run and epoch."""
