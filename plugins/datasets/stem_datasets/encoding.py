"""How the chunks of a file are compressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stemcore import UserError

LEVELS: Mapping[str, tuple[int, int, int] | None] = {
    "bitshuffle-lz4": None,
    "gzip": (1, 9, 4),
    "zstd": (1, 22, 1),
    "blosc": (1, 9, 5),
    "lz4": None,
    "none": None,
}
"""The compressions by name, each with its least, greatest and usual level where it has levels.

Measured on simulated and dense patterns, one thread, chunks of 1 MB: bitshuffle-lz4 is read four to seven times as
fast as gzip and written five to ten times as fast, in as much space where most pixels have counts and twice as much
where few have. zstd takes no more space than gzip and is read three to four times as fast. gzip alone needs no filter
of hdf5plugin: every program that reads HDF5 reads it.
"""

DEFAULT = "bitshuffle-lz4"


@dataclass(frozen=True)
class Encoding:
    """Filters of HDF5.

    Attributes:
        name: what it is called, in messages.
        filters: gives the arguments of ``h5py.Group.create_dataset`` for values of so many bytes.
        compresses: whether fewer bytes may be written than there are.
    """

    name: str
    filters: Callable[[int], Mapping[str, Any]]
    compresses: bool = True


def encoding(name: str = DEFAULT, level: int | None = None) -> Encoding:
    """The compression ``name``.

    Args:
        name: one of ``LEVELS``.
        level: greater is smaller and slower; ``None`` for the usual one.

    Raises:
        UserError: if it has no such level.
    """
    levels = LEVELS[name]
    if level is not None and levels is None:
        graded = ", ".join(other for other, its in LEVELS.items() if its)
        raise UserError(f"{name} has no levels", where="--level", hint=f"those that have: {graded}")
    if level is not None and levels is not None and not levels[0] <= level <= levels[1]:
        raise UserError(f"{name} has no level {level}", where="--level", hint=f"from {levels[0]} to {levels[1]}")
    chosen = level if level is not None else levels[2] if levels else 0
    label = name if level is None else f"{name} {level}"
    return Encoding(label, lambda value_bytes: _filters(name, chosen, value_bytes), compresses=name != "none")


def _filters(name: str, level: int, value_bytes: int) -> Mapping[str, Any]:
    import hdf5plugin

    # The bytes of small counts are mostly zeros: sorted by their place in the value they compress far better.
    shuffle = {"shuffle": True} if value_bytes > 1 else {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": level, **shuffle}
    if name == "zstd":
        return {**hdf5plugin.Zstd(clevel=level), **shuffle}
    if name == "lz4":
        return {**hdf5plugin.LZ4(), **shuffle}
    if name == "blosc":
        return dict(hdf5plugin.Blosc(cname="lz4", clevel=level, shuffle=hdf5plugin.Blosc.BITSHUFFLE))
    return dict(hdf5plugin.Bitshuffle(cname="lz4")) if name == "bitshuffle-lz4" else {}
