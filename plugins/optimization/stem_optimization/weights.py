"""The weight of a loss term over the epochs."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from stemcore import WeightSchedule

Weight = Annotated[float, Field(ge=0)]
Epochs = Annotated[float, Field(gt=0)]


class Constant(WeightSchedule):
    """The same weight throughout.

    Args:
        value: the weight.
    """

    def __init__(self, total_epochs: int, *, value: Weight) -> None:
        super().__init__(total_epochs)
        self.value = value

    def weight(self, epoch: float) -> float:
        """``value``."""
        return self.value


class _Ramp(WeightSchedule):
    def __init__(
        self, total_epochs: int, *, from_: Weight = 0.0, to: Weight = 1.0, epochs: Epochs | None = None
    ) -> None:
        super().__init__(total_epochs)
        self.start, self.end, self.epochs = from_, to, epochs or float(max(total_epochs, 1))

    def _progress(self, epoch: float) -> float:
        return min(max(epoch / self.epochs, 0.0), 1.0)


class Linear(_Ramp):
    """A straight line from one weight to another, which then stays.

    Args:
        from_: weight at the start.
        to: weight at the end of the ramp.
        epochs: length of the ramp; the whole run if null.
    """

    def weight(self, epoch: float) -> float:
        """``from + (to - from) t`` with ``t = min(epoch / epochs, 1)``."""
        t = self._progress(epoch)
        return self.start * (1 - t) + self.end * t


class Cosine(_Ramp):
    """Half a cosine wave from one weight to another, which then stays.

    Args:
        from_: weight at the start.
        to: weight at the end of the ramp.
        epochs: length of the ramp; the whole run if null.
    """

    def weight(self, epoch: float) -> float:
        """``from + (to - from) (1 - cos(pi t)) / 2`` with ``t = min(epoch / epochs, 1)``."""
        t = (1 - math.cos(math.pi * self._progress(epoch))) / 2
        return self.start * (1 - t) + self.end * t


class Cyclical(WeightSchedule):
    """Repeated linear ramps, each followed by a plateau, against a vanishing KL term (Fu et al. 2019).

    Args:
        from_: weight at the start of each cycle.
        to: weight on the plateaus.
        cycles: number of cycles over the run.
        ratio: part of a cycle that the ramp takes; the plateau takes the rest.
    """

    def __init__(
        self,
        total_epochs: int,
        *,
        from_: Weight = 0.0,
        to: Weight = 1.0,
        cycles: Annotated[int, Field(ge=1)] = 4,
        ratio: Annotated[float, Field(gt=0, le=1)] = 0.5,
    ) -> None:
        super().__init__(total_epochs)
        self.start, self.end, self.ratio = from_, to, ratio
        self.period = max(total_epochs, 1) / cycles

    def weight(self, epoch: float) -> float:
        """``from + (to - from) min(tau / ratio, 1)``, ``tau`` the part of the cycle that has passed; the end of the
        run belongs to the last plateau."""
        if epoch >= self.total_epochs:
            return self.end
        tau = (epoch % self.period) / self.period
        t = min(tau / self.ratio, 1.0)
        return self.start * (1 - t) + self.end * t
