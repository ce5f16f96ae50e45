"""Which tokens a masked model is shown: chosen by whole units, of which a fixed number is hidden."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stem_spectral.patches import Grid
from stemcore import UserError

Strategy = Literal["random", "tube", "spectral_block"]
BITS = 31
"""Random numbers are integers of so many bits."""


def unit_count(strategy: Strategy, grid: Grid) -> int:
    """What is hidden as a whole: a token (random), a place in all groups (tube), a group, which is a block
    of bands, at all places (spectral_block)."""
    return {"random": grid.tokens, "tube": grid.places, "spectral_block": grid.groups}[strategy]


def hidden_count(strategy: Strategy, grid: Grid, ratio: float) -> int:
    """How many units are hidden: all but round(units * (1 - ratio)); at least one is hidden and one is shown unless
    the ratio is 0.

    Raises:
        UserError: if there is only one unit, so that either nothing or everything would be hidden.
    """
    units = unit_count(strategy, grid)
    if ratio == 0:
        return 0
    if units < 2:
        raise UserError(
            f"masking '{strategy}' can hide nothing of a single unit: the cube is {grid.groups} x {grid.rows} x "
            f"{grid.columns} patches",
            hint="make 'patch' smaller, or set mask_ratio: 0",
        )
    return units - min(units - 1, max(1, round(units * (1 - ratio))))


def numbers(strategy: Strategy, grid: Grid, items: int, device: torch.device) -> Tensor:
    """Random numbers of torch to choose hidden units by, (items, units): others for every item."""
    return torch.randint(0, 1 << BITS, (items, unit_count(strategy, grid)), device=device)


def fixed_numbers(strategy: Strategy, grid: Grid, index: Tensor) -> Tensor:
    """As :func:`numbers`, but the same every time for an item of index (n,): hashes of the index and the unit."""
    units = torch.arange(unit_count(strategy, grid), device=index.device)
    low = (1 << 32) - 1
    x = _mixed(index.long()[:, None] & low, low) + _mixed(units + 1, low)
    return _mixed(x & low, low) >> (32 - BITS)


def _mixed(x: Tensor, low: int) -> Tensor:
    """Integers of 32 bits to others that look random; the products fit 64 bits."""
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & low
    return (x >> 16) ^ x


def shown(strategy: Strategy, grid: Grid, hidden: int, numbers: Tensor) -> Tensor:
    """The tokens that are shown, (n, tokens shown): as many for every item.

    The units with the smallest numbers are hidden.
    """
    return tokens_of(strategy, grid, numbers.argsort(dim=1, stable=True)[:, hidden:])


def complementary(strategy: Strategy, grid: Grid, hidden: int, numbers: Tensor) -> list[Tensor]:
    """As :func:`shown`, for several passes that together hide every unit. The last passes may hide units again that
    earlier ones hid, so that all hide as many."""
    units = unit_count(strategy, grid)
    order = numbers.argsort(dim=1, stable=True)
    starts = [min(start, units - hidden) for start in range(0, units, hidden)]
    kept = [torch.cat([order[:, :start], order[:, start + hidden :]], dim=1) for start in starts]
    return [tokens_of(strategy, grid, some) for some in kept]


def tokens_of(strategy: Strategy, grid: Grid, units: Tensor) -> Tensor:
    """The tokens of units (n, k), (n, tokens)."""
    if strategy == "tube":
        groups = torch.arange(grid.groups, device=units.device) * grid.places
        return (units[:, None] + groups[:, None]).flatten(1)
    if strategy == "spectral_block":
        places = torch.arange(grid.places, device=units.device)
        return (units[..., None] * grid.places + places).flatten(1)
    return units
