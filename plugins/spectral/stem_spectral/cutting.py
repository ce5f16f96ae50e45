"""Cutting the cubes of a data set as its recipe says."""

from __future__ import annotations

from collections.abc import Sequence

from stem_spectral.collection import Entry, check_alike
from stem_spectral.cube import together
from stem_spectral.tiling import Grid, Tiling, whole
from stemcore import UserError


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number for each of the two axes."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def tiling_of(
    tile: int | tuple[int, int] | None,
    stride: int | tuple[int, int] | None,
    edges: str,
    regions: tuple[int, int] | None,
    gap: int,
) -> Tiling | None:
    """What a recipe says of tiles; ``None`` for whole cubes.

    Raises:
        UserError: for what makes sense for tiles or regions alone.
    """
    if gap and regions is None:
        raise UserError("'region_gap' is given without 'regions'", hint="set how many regions a scene is cut into")
    if tile is None:
        given = {"stride": stride, "regions": regions}
        if named := [name for name, value in given.items() if value is not None]:
            raise UserError(f"'{named[0]}' is given without 'tile'", hint="set the size of the tiles")
        return None
    size = both(tile)
    return Tiling(size, size if stride is None else both(stride), edges == "shift", regions or (1, 1), gap)


def grids_of(entries: Sequence[Entry], tiling: Tiling | None) -> list[Grid]:
    """The tiles of every cube; whole ones where they are not cut.

    Raises:
        UserError: that names whole cubes of another size than most, or those that are too small for a tile.
    """
    if tiling is None:
        check_alike(entries, "height and width", lambda e: e.cube.shape[1:], "set tile to cut them into tiles")
        return [whole(*entry.cube.shape[1:]) for entry in entries]
    found, faults = [], []
    for entry in entries:
        try:
            found.append(tiling.of(*entry.cube.shape[1:]))
        except UserError as error:
            faults += [UserError(p.message, where=entry.row.where, hint=p.hint) for p in error.problems]
    if faults:
        raise together(faults)
    return found
