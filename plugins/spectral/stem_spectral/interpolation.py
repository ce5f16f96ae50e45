"""What is shown of a cube carried over to what is hidden, by kriging: a start that a network improves on."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from stem_spectral.patches import Extent, Grid, grid_of
from stemcore import UserError

NUGGET = 0.01
"""Share of the variance that neighbouring pixels do not have in common."""
MOST_PIXELS = 1 << 14
"""Of an image: every pair of pixels has a covariance."""


def kriged(patches: Tensor, patch: Extent, extent: Extent, shown: Tensor, length: float) -> Tensor:
    """Values of every patch by ordinary kriging of the pixels shown, in each band by itself: the best linear unbiased
    estimate where values at a distance d have the correlation exp(-d / length), with an unknown mean (Cressie,
    Statistics for Spatial Data, 1993, section 3.2).

    Args:
        patches: values of all patches (n, tokens, values of a patch).
        patch: bands, height and width of one.
        extent: those of the cubes; what patches have beyond it counts for nothing.
        shown: indices (n, tokens shown) of those to take values from: the same places in every group, all places of a
            group after each other.
        length: at which the correlation has fallen to 1 / e, in pixels.
    """
    grid, (bands, height, width) = grid_of(extent, patch), patch
    pixels, items = height * width, len(patches)
    covariance, inside = _covariance(grid, patch, extent, length, str(shown.device))
    places = shown[:, : shown.shape[1] // grid.groups]
    index = (places[..., None] * pixels + torch.arange(pixels, device=shown.device)).flatten(1)
    cubes = patches.reshape(items, grid.groups, grid.places, bands, pixels).permute(0, 2, 4, 1, 3)
    flat = cubes.reshape(items, grid.places * pixels, grid.groups * bands)
    known = flat.gather(1, index[..., None].expand(-1, -1, flat.shape[2]))
    # Solving needs full precision; meta tensors have no autocast to turn off.
    with torch.autocast("cpu" if shown.is_meta else shown.device.type, enabled=False):
        means = _estimate(covariance[index], index, inside[index], known.float())
    split = means.reshape(items, grid.places, pixels, grid.groups, bands).permute(0, 3, 1, 4, 2)
    return split.reshape(patches.shape).to(patches.dtype)


def _estimate(covariance: Tensor, index: Tensor, inside: Tensor, known: Tensor) -> Tensor:
    """Estimates (n, pixels, values) from the values ``known`` (n, m, values) at pixels of numbers ``index`` (n, m)
    whose covariance with all is (n, m, pixels); those not ``inside`` (n, m) are left out."""
    covariance = covariance * inside[..., None]
    among = covariance.gather(2, index[:, None].expand(-1, index.shape[1], -1)) * inside[:, None]
    among = among + torch.diag_embed(torch.where(inside, NUGGET, 1.0))
    ones = inside[..., None].to(known.dtype)
    solved = torch.cholesky_solve(torch.cat([known * ones, ones], 2), torch.linalg.cholesky(among))
    values, unit = solved[..., :-1], solved[..., -1:]
    mean = (values * ones).sum(1, keepdim=True) / (unit * ones).sum(1, keepdim=True)
    return mean + covariance.transpose(1, 2) @ (values - unit * mean)


def refuse_large(grid: Grid, patch: Extent) -> None:
    """Raises ``UserError`` for images of more pixels than can all have a covariance with each other."""
    size = grid.rows * patch[1], grid.columns * patch[2]
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(
            f"residual 'kriging' compares all pixels with each other, too many of {size[0]} x {size[1]}",
            hint=f"cut tiles of at most {MOST_PIXELS} pixels, or set residual: none",
        )


@lru_cache(maxsize=4)
def _covariance(grid: Grid, patch: Extent, extent: Extent, length: float, device: str) -> tuple[Tensor, Tensor]:
    """Covariance (pixels, pixels), patch by patch, of unit variance; and which pixels are in the cube."""
    sizes = (grid.rows, grid.columns, *patch[1:])
    row, column, y, x = torch.meshgrid(*(torch.arange(n, device=device) for n in sizes), indexing="ij")
    y, x = (row * patch[1] + y).flatten(), (column * patch[2] + x).flatten()
    square = (y[:, None] - y).square() + (x[:, None] - x).square()
    return torch.exp(-square.float().sqrt() / length), (y < extent[1]) & (x < extent[2])
