"""The smallest and the largest of values that come in batches."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor


class Extremes:
    """Minimum and maximum over all values, or of each feature, in float64 on the host.

    What never had a value has the minimum infinity and the maximum minus infinity; NaN among the values is handed on.

    Args:
        shape: () for all values together, or that of an item for each of its values.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.low = torch.full(shape, inf, dtype=torch.float64, device="cpu")
        self.high = torch.full(shape, -inf, dtype=torch.float64, device="cpu")

    @property
    def unseen(self) -> Tensor:
        """Where there was no value, bool."""
        return (self.low == inf) & (self.high == -inf)

    @property
    def bad(self) -> Tensor:
        """Where there was a value that is not finite, bool."""
        return ~(torch.isfinite(self.low) & torch.isfinite(self.high)) & ~self.unseen

    def add(self, x: Tensor, mask: Tensor | None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape) is false a value does not count."""
        if x.numel() == 0:
            return
        axes = tuple(range(x.ndim - self.low.ndim))
        low = (x if mask is None else torch.where(mask, x, inf)).amin(dim=axes)
        high = (x if mask is None else torch.where(mask, x, -inf)).amax(dim=axes)
        # minimum and maximum hand NaN on.
        self.low = torch.minimum(self.low, low.cpu().double())
        self.high = torch.maximum(self.high, high.cpu().double())
