"""The size of cubes, and cubes as voxel patches: how many along each axis, and there and back."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from stemcore import DataSpec, UserError

Extent = tuple[int, int, int]
"""Bands, height and width."""


class Grid(NamedTuple):
    """Patches along each axis of a cube. Tokens are numbered group by group, in each row by row."""

    groups: int
    rows: int
    columns: int

    @property
    def places(self) -> int:
        """Patches of one spectral group."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """Patches in all."""
        return self.groups * self.places


def cube_extent(spec: DataSpec) -> Extent:
    """Bands, height and width of the input.

    Raises:
        UserError: if the input is no cube of a fixed size.
    """
    if "input" not in spec:
        raise UserError("the model needs a field 'input'", hint=f"the data set has {', '.join(spec)}")
    shape = spec["input"].shape
    fixed = tuple(n for n in shape if n is not None)
    if len(shape) != 3 or len(fixed) != 3:
        raise UserError(
            f"the model takes cubes (bands, height, width) of one size, the input is {shape}",
            hint="cut scenes into tiles of one size in the data set, or crop them in data.transforms.input",
        )
    return fixed[0], fixed[1], fixed[2]


def grid_of(extent: Extent, patch: Extent) -> Grid:
    """The patches of a cube, the last ones along an axis perhaps not full."""
    return Grid(*(math.ceil(n / size) for n, size in zip(extent, patch, strict=True)))


def to_patches(cube: Tensor, patch: Extent) -> Tensor:
    """Cubes (n, bands, height, width) as tokens (n, tokens, values of a patch), with zeros where a patch is not full.

    Values are in the order of the weights of a three-dimensional convolution: band, row, column.
    """
    extent: Extent = (cube.shape[1], cube.shape[2], cube.shape[3])
    grid, (bands, height, width) = grid_of(extent, patch), patch
    gaps = [count * size - n for count, size, n in zip(grid, patch, extent, strict=True)]
    if any(gaps):
        cube = functional.pad(cube, (0, gaps[2], 0, gaps[1], 0, gaps[0]))
    split = cube.reshape(-1, grid.groups, bands, grid.rows, height, grid.columns, width)
    return split.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, grid.tokens, math.prod(patch))


def from_patches(tokens: Tensor, patch: Extent, extent: Extent) -> Tensor:
    """Tokens (n, tokens, values of a patch) as cubes (n, *extent): what :func:`to_patches` made of them."""
    grid, (bands, height, width) = grid_of(extent, patch), patch
    split = tokens.reshape(-1, *grid, bands, height, width).permute(0, 1, 4, 2, 5, 3, 6)
    cube = split.reshape(-1, grid.groups * bands, grid.rows * height, grid.columns * width)
    return cube[:, : extent[0], : extent[1], : extent[2]]


def over_voxels(tokens: Tensor, patch: Extent, extent: Extent) -> Tensor:
    """One value of each token (n, tokens) for every voxel of its patch, (n, *extent)."""
    spread = tokens[..., None].expand(-1, -1, math.prod(patch))
    return from_patches(spread, patch, extent)
