"""Metrics whose states are sums."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stemcore.component.metric import Metric


def wide(x: Tensor) -> Tensor:
    """The tensor in float64, or in float32 on Apple's GPUs, which have no float64."""
    return x.float() if x.device.type == "mps" else x.double()


class SummedMetric(Metric, ABC):
    """A metric whose states are sums in float64 over what was seen, equal however the data were cut into batches."""

    def add_sums(self, *names: str) -> None:
        """Registers scalar states that start at 0 and are added up over processes."""
        for name in names:
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Any:
        try:
            return super()._apply(fn, exclude_state)
        except TypeError:  # Apple's GPUs refuse float64 tensors
            self.set_dtype(torch.float32)
            return super()._apply(fn, exclude_state)
