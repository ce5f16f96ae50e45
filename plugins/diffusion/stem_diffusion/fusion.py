"""How the features of a ControlNet join those of the network that it steers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Fusion = Literal["add", "scaled_add", "concat", "gated", "film"]


class Join(nn.Module):
    """What features of a ControlNet add to those of the base at one place: nothing before training, to the bit.

    With Z a 1 x 1 convolution that begins with zeros (Zhang, Rao & Agrawala, ICCV 2023), base features f and control
    features c:

    - ``add``: Z(c);
    - ``scaled_add``: s Z(c), one learnt number s, which begins with 1;
    - ``concat``: Z([f, c]), so that f + Z([f, c]) begins as the identity of f;
    - ``gated``: sigmoid(G([f, c])) Z(c), with a gate for every place and channel;
    - ``film``: f Zg(c) + Zb(c), so that f (1 + Zg(c)) + Zb(c) begins with gamma = 1 and beta = 0 (Perez et al., AAAI
      2018).

    Args:
        channels: of both.
        fusion: how.
    """

    def __init__(self, channels: int, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        self.zero = zeroed(nn.Conv2d(2 * channels if fusion == "concat" else channels, channels, 1))
        if fusion == "scaled_add":
            self.scale = nn.Parameter(torch.ones(()))
        if fusion == "gated":
            self.gate = nn.Conv2d(2 * channels, channels, 1)
        if fusion == "film":
            self.gamma = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, base: Tensor, control: Tensor) -> Tensor:
        """What is added to ``base`` (n, channels, H, W)."""
        if self.fusion == "concat":
            added: Tensor = self.zero(torch.cat([base, control], dim=1))
            return added
        added = self.zero(control)
        if self.fusion == "scaled_add":
            return self.scale * added
        if self.fusion == "gated":
            return torch.sigmoid(self.gate(torch.cat([base, control], dim=1))) * added
        return base * self.gamma(control) + added if self.fusion == "film" else added


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """A layer whose weights and biases begin with zeros."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
