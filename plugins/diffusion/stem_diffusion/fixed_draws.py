"""Steps and noise that are the same every time for an item: an evaluation has no luck in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LOW = (1 << 32) - 1
GOLDEN = 2654435769
"""2^32 over the golden ratio: its multiples modulo 2^32 are spread evenly, however many there are."""


def fixed_steps(index: Tensor, timesteps: int) -> Tensor:
    """A step for each item of index (n,), int64, spread evenly over the items; that of item 0 is in the middle."""
    place = (index.long() * GOLDEN + (1 << 31)) & LOW
    return (place * timesteps) >> 32


def fixed_noise(index: Tensor, shape: Sequence[int]) -> Tensor:
    """Noise (n, *shape) of a standard normal distribution, by hashes of each item's index and of each place."""
    places = torch.arange(1, math.prod(shape) + 1, device=index.device)
    bits = _mixed((_mixed(index.long()[:, None] & LOW) + _mixed(places)) & LOW) >> 9
    uniform = (bits.float() + 0.5) / (1 << 23)
    return (math.sqrt(2.0) * torch.erfinv(2 * uniform - 1)).reshape(-1, *shape)


def _mixed(x: Tensor) -> Tensor:
    """Integers of 32 bits to others that look random; the products fit 64 bits."""
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & LOW
    return (x >> 16) ^ x
