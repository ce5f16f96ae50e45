"""Encoder of the patches that are shown, decoder of all of them (He et al. 2022)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stem_spectral.patches import Extent, Grid
from stem_spectral.positions import SeparablePositions
from stem_spectral.vit import Blocks, initialise


class Encoder(nn.Module):
    """Patches embedded with their positions, and a transformer over those that are shown.

    ``embed`` is a linear layer of the values of a patch: a three-dimensional convolution whose kernel is its stride,
    with the same parameters, computed only where a patch is shown.

    Args:
        grid: the patches of the cubes to learn from.
        patch: size of a patch.
        width: of the tokens.
        depth: number of blocks.
        heads: of the attention.
        stack: further configuration of :class:`Blocks`.
    """

    def __init__(self, grid: Grid, patch: Extent, width: int, depth: int, heads: int, **stack: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(math.prod(patch), width)
        self.positions = SeparablePositions(grid, width)
        self.blocks = Blocks(width, depth, heads, **stack)
        self.apply(initialise)

    def forward(self, patches: Tensor, grid: Grid, shown: Tensor | None = None) -> Tensor:
        """Patches (n, tokens, values) to features (n, tokens shown, width).

        Args:
            patches: all patches of a grid.
            grid: how they lie.
            shown: indices (n, tokens shown) of those to look at; ``None`` for all, in their order.
        """
        places = self.positions(grid)
        if shown is None:
            x = self.embed(patches) + places
        else:
            some = patches.gather(1, shown[..., None].expand(-1, -1, patches.shape[2]))
            x = self.embed(some) + functional.embedding(shown, places)
        features: Tensor = self.blocks(x)
        return features


class Decoder(nn.Module):
    """The values of every patch from the features of those that were shown.

    Args:
        grid: the patches of the cubes to learn from.
        values: of a patch.
        features: width of the encoder's tokens.
        width: of the decoder's tokens.
        depth: number of blocks.
        heads: of the attention.
        stack: further configuration of :class:`Blocks`.
    """

    def __init__(
        self, grid: Grid, values: int, features: int, width: int, depth: int, heads: int, **stack: Any
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        self.positions = SeparablePositions(grid, width)
        self.blocks = Blocks(width, depth, heads, **stack)
        self.head = nn.Linear(width, values)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, features: Tensor, grid: Grid, shown: Tensor) -> Tensor:
        """Features (n, tokens shown, width) of the tokens of indices ``shown`` to values (n, tokens, values)."""
        given = self.embed(features)
        n, _, width = given.shape
        whole = self.mask_token.to(given.dtype).expand(n, grid.tokens, width)
        whole = whole.scatter(1, shown[..., None].expand_as(given), given)
        values: Tensor = self.head(self.blocks(whole + self.positions(grid)))
        return values
