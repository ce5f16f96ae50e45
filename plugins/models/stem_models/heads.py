"""Between feature maps (n, c, h, w) and codes (n, width)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Head = Literal["linear", "conv"]
Maps = tuple[int, int, int]


class MapsToCode(nn.Module):
    """A 1x1 convolution to ``width`` maps, each summed over its pixels with weights of its own.

    Args:
        maps: channels, height and width coming in.
        width: of the code.
    """

    def __init__(self, maps: Maps, width: int) -> None:
        super().__init__()
        channels, height, w = maps
        self.mix = nn.Conv2d(channels, width, 1)
        self.place = nn.Parameter(torch.empty(width, height, w))
        nn.init.normal_(self.place, std=1 / math.sqrt(height * w))

    def forward(self, x: Tensor) -> Tensor:
        """(n, *maps) to (n, width)."""
        return (self.mix(x) * self.place).sum((2, 3))


class CodeToMaps(nn.Module):
    """Each value of a code times a map of its own, then a 1x1 convolution.

    Args:
        width: of the code.
        maps: channels, height and width going out.
    """

    def __init__(self, width: int, maps: Maps) -> None:
        super().__init__()
        channels, height, w = maps
        self.place = nn.Parameter(torch.empty(width, height, w))
        nn.init.normal_(self.place)
        self.mix = nn.Conv2d(width, channels, 1)

    def forward(self, code: Tensor) -> Tensor:
        """(n, width) to (n, *maps)."""
        maps: Tensor = self.mix(code[:, :, None, None] * self.place)
        return maps


def encoder_head(kind: Head, maps: Maps, width: int) -> nn.Module:
    """From feature maps to codes, fully connected or convolutional."""
    if kind == "conv":
        return MapsToCode(maps, width)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(maps), width))


def decoder_neck(kind: Head, width: int, maps: Maps) -> nn.Module:
    """From codes to feature maps, fully connected or convolutional."""
    if kind == "conv":
        return CodeToMaps(width, maps)
    return nn.Sequential(nn.Linear(width, math.prod(maps)), nn.Unflatten(1, maps))
