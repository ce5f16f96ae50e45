"""Noise by seed and item, so that what an item becomes does not depend on those drawn beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


class ItemNoise:
    """Noise of a standard normal distribution for items ``first`` to ``first + n - 1``, more at every call.

    Drawn on the CPU, so that it is the same for every device.

    Args:
        seed: of all items.
        first: number of the first item.
        shape: (n, *shape of an item).
        device: where the noise is wanted.
    """

    def __init__(self, seed: int, first: int, shape: Sequence[int], device: torch.device) -> None:
        items, *self._shape = shape
        self._device = device
        self._generators = [torch.Generator().manual_seed(seed_of(seed, first + k)) for k in range(items)]

    def __call__(self) -> Tensor:
        """Noise (n, *shape)."""
        parts = [torch.randn(self._shape, generator=generator) for generator in self._generators]
        return torch.stack(parts).to(self._device)


def seed_of(seed: int, item: int) -> int:
    """A seed for an item, far from those of other items and other seeds."""
    digest = hashlib.sha256(f"{seed}/{item}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
