"""Mean and spread of values that come in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass
class Moments:
    """Mean and spread of values that come in batches, in float64 (Chan, Golub and LeVeque 1979)."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Counts values of any shape in."""
        if not values.size:
            return
        wide = values.astype(np.float64)
        mean, total = float(wide.mean()), self.count + values.size
        apart = mean - self.mean
        self.squares += float(np.square(wide - mean).sum()) + apart**2 * self.count * values.size / total
        self.mean += apart * values.size / total
        self.count = total

    @property
    def std(self) -> float:
        """Standard deviation of all values, 0 of none."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0
