"""Building blocks of convolutional networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Norm = Literal["group", "batch", "none"]
Activation = Literal["silu", "relu", "gelu", "leaky_relu"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
}


def activation_of(name: Activation) -> nn.Module:
    """The activation called ``name``; ``leaky_relu`` has slope 0.2."""
    return _ACTIVATIONS[name]()


def norm_of(name: Norm, channels: int) -> nn.Module:
    """A normalisation of (n, channels, h, w). There are up to 8 groups, of at least 4 channels: normalising single
    channels would take away how bright a pattern is. Unlike batch statistics they serve a batch of one."""
    if name == "group":
        return nn.GroupNorm(math.gcd(8, max(channels // 4, 1), channels), channels)
    return nn.BatchNorm2d(channels) if name == "batch" else nn.Identity()


class PreactivationBlock(nn.Module):
    """``x + conv(act(norm(conv(act(norm(x))))))``, 3x3 convolutions (He et al. 2016b). The last convolution starts at
    zero, so the block starts as the identity.

    Args:
        channels: of input and output.
        norm: the normalisation.
        activation: the activation.
    """

    def __init__(self, channels: int, norm: Norm, activation: Activation) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.body = nn.Sequential(
            norm_of(norm, channels),
            activation_of(activation),
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_of(norm, channels),
            activation_of(activation),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns (n, channels, h, w)."""
        out: Tensor = x + self.body(x)
        return out


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


class TripleResidualBlock(nn.Module):
    """Three 3x3 convolutions with batch normalisation, ReLU after the first two; the input is added, then ReLU.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(channels, channels),
            ConvBlock(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns (n, channels, h, w)."""
        out: Tensor = self.activation(x + self.body(x))
        return out
