"""What is shown of a cube carried over to what is hidden, by distance: a start that a network improves on."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from stem_spectral.patches import Extent, Grid, grid_of
from stemcore import UserError

POWER = 4
MOST_PIXELS = 1 << 14
"""Of an image: every pair of pixels has a weight."""


def by_distance(patches: Tensor, patch: Extent, extent: Extent, shown: Tensor) -> Tensor:
    """Values of every patch as the mean of the pixels shown, weighted by distance^-4 (Shepard, Proc. ACM Natl. Conf.
    1968, 517), in each band by itself; what is shown stays as it is.

    Args:
        patches: values of all patches (n, tokens, values of a patch).
        patch: bands, height and width of one.
        extent: those of the cubes; what patches have beyond it has no weight.
        shown: indices (n, tokens shown) of those to take values from: the same places in every group, all places of a
            group after each other.
    """
    grid, (bands, height, width) = grid_of(extent, patch), patch
    pixels = height * width
    places = shown[:, : shown.shape[1] // grid.groups]
    cubes = patches.reshape(len(patches), grid.groups, grid.places, bands, pixels).permute(0, 2, 4, 1, 3)
    index = (places[..., None] * pixels + torch.arange(pixels, device=shown.device)).flatten(1)
    flat = cubes.reshape(len(patches), grid.places * pixels, grid.groups * bands)
    values = flat.gather(1, index[..., None].expand(-1, -1, flat.shape[2]))
    weights = _weights(grid, patch, extent, str(shown.device))[index]
    means = (weights / weights.sum(1, keepdim=True)).to(values.dtype).transpose(1, 2) @ values
    split = means.reshape(len(patches), grid.places, pixels, grid.groups, bands).permute(0, 3, 1, 4, 2)
    return split.reshape(patches.shape)


def refuse_large(grid: Grid, patch: Extent) -> None:
    """Raises ``UserError`` for images of more pixels than can all have a weight for each other."""
    size = grid.rows * patch[1], grid.columns * patch[2]
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(
            f"residual 'distance' compares all pixels with each other, too many of {size[0]} x {size[1]}",
            hint=f"cut tiles of at most {MOST_PIXELS} pixels, or set residual: none",
        )


@lru_cache(maxsize=4)
def _weights(grid: Grid, patch: Extent, extent: Extent, device: str) -> Tensor:
    """Weights (pixels, pixels) of the first for the second, patch by patch; a pixel outweighs all others for itself."""
    sizes = (grid.rows, grid.columns, *patch[1:])
    row, column, y, x = torch.meshgrid(*(torch.arange(n, device=device) for n in sizes), indexing="ij")
    y, x = (row * patch[1] + y).flatten(), (column * patch[2] + x).flatten()
    square = (y[:, None] - y).square() + (x[:, None] - x).square()
    weights = torch.where(square > 0, square.float().clamp(min=1) ** (-POWER / 2), 1e12)
    inside = (y < extent[1]) & (x < extent[2])
    return weights * inside[:, None]
