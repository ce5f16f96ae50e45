"""Where a token is: a learned table of places plus a learned table of spectral groups."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from stem_spectral.patches import Grid


class SeparablePositions(nn.Module):
    """Positions (tokens, width): each the sum of one vector for its place and one for its spectral group.

    Both tables start as sines and cosines and are learned. For another grid than their own they are interpolated,
    places bicubically and groups linearly: in a forward pass, and where the tables of another grid are loaded.

    Args:
        grid: the patches that the tables have a row for.
        width: of the vectors.
    """

    resized: ClassVar[tuple[str, ...]] = ("spatial", "spectral")
    """Tables of another number of rows can be loaded."""

    def __init__(self, grid: Grid, width: int) -> None:
        super().__init__()
        self.own = grid
        self.spatial = nn.Parameter(_plane(grid.rows, grid.columns, width))
        self.spectral = nn.Parameter(_waves(torch.arange(grid.groups), width))
        # The rows of the spatial table alone do not say how many of them are beside each other.
        self.register_buffer("grid", torch.tensor(grid))

    def forward(self, grid: Grid) -> Tensor:
        """The positions (tokens, width) of a grid."""
        spatial, spectral = resampled(self.spatial, self.spectral, self.own, grid)
        return (spectral[:, None] + spatial).flatten(0, 1)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        self._resample(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _resample(self, state: Any, prefix: str) -> None:
        names = [prefix + name for name in ("spatial", "spectral", "grid")]
        if any(name not in state for name in names):
            return  # to be named as missing
        spatial, spectral, stored = (state[name] for name in names)
        given = Grid(*stored.tolist()) if stored.shape == (3,) else None
        width = self.spatial.shape[1]
        if given is None or spatial.shape != (given.places, width) or spectral.shape != (given.groups, width):
            return  # to be named as of another shape
        tables = resampled(spatial, spectral, given, self.own)
        state.update(zip(names, (*tables, torch.tensor(self.own, device="cpu")), strict=True))


def resampled(spatial: Tensor, spectral: Tensor, own: Grid, wanted: Grid) -> tuple[Tensor, Tensor]:
    """Tables (places, width) and (groups, width) of one grid for another one."""
    if own[1:] != wanted[1:]:
        maps = spatial.reshape(1, own.rows, own.columns, -1).permute(0, 3, 1, 2)
        maps = functional.interpolate(maps, size=wanted[1:], mode="bicubic", align_corners=False)
        spatial = maps.permute(0, 2, 3, 1).flatten(0, 2)
    if own.groups != wanted.groups:
        lines = functional.interpolate(spectral.T[None], size=wanted.groups, mode="linear", align_corners=False)
        spectral = lines[0].T
    return spatial, spectral


def _plane(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of the row in one half of the vector and of the column in the other, (places, width)."""
    half = width // 2
    vertical = _waves(torch.arange(rows), half)[:, None].expand(-1, columns, -1)
    horizontal = _waves(torch.arange(columns), width - half)[None].expand(rows, -1, -1)
    return torch.cat([vertical, horizontal], dim=2).flatten(0, 1)


def _waves(positions: Tensor, width: int) -> Tensor:
    """Sines and cosines of positions at wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al. 2017), (n, width)."""
    pairs = (width + 1) // 2
    frequencies = 10000.0 ** (-torch.arange(pairs) / pairs)
    angles = positions[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width].contiguous()
