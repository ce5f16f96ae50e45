"""Samplers: which items an epoch visits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np


class Sampler(ABC):
    """Chooses the blocks of an epoch; shuffling within and between them is the core's."""

    @abstractmethod
    def epoch(self, blocks: Sequence[np.ndarray], rng: np.random.Generator) -> Sequence[np.ndarray]:
        """The epoch's blocks, given all training blocks (arrays of item indices). Items may be left out or repeated;
        epochs of different lengths are cut to the shortest of the run. ``rng`` is seeded by run and epoch."""
