"""How results are stored in an HDF5 file, and what may go wrong with its disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from stemcore.errors import UserError

COMPRESSIONS = ("none", "gzip", "bitshuffle-lz4", "blosc-zstd")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Storage:
    """How values are stored.

    Attributes:
        dtype: one of ``DTYPES``.
        compression: one of ``COMPRESSIONS``.

    Raises:
        UserError: for another.
    """

    dtype: str = "float32"
    compression: str = "none"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("dtype", self.dtype, DTYPES),
            ("compression", self.compression, COMPRESSIONS),
        ):
            if value not in known:
                raise UserError(f"there is no such {name} as '{value}'", where=name, hint=f"known: {', '.join(known)}")

    def filters(self) -> dict[str, Any]:
        """The arguments of h5py."""
        if self.compression == "none":
            return {}
        if self.compression == "gzip":
            return {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        import hdf5plugin

        if self.compression == "blosc-zstd":
            return dict(hdf5plugin.Blosc(cname="zstd", clevel=3, shuffle=hdf5plugin.Blosc.SHUFFLE))
        return dict(hdf5plugin.Bitshuffle(cname="lz4"))


@contextmanager
def new_file(part: Path, path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, closed in the end also where the disk is full and HDF5 cannot write what it still holds.

    Args:
        part: where it is written first.
        path: its name in errors.

    Raises:
        OSError: from the disk, with the number and ``path``.
    """
    file = h5py.File(part, "w")
    try:
        yield file
        file.close()
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno) if error.errno else str(error), str(path)) from error
    finally:
        # Of an error that has been raised already, HDF5 would speak a second time.
        with suppress(OSError, RuntimeError):
            file.close()


def check_space(path: Path, wanted: int, name: str) -> None:
    """Refuses to begin what cannot fit.

    Args:
        path: of a file in the folder where it is to be.
        wanted: bytes.
        name: what it is.

    Raises:
        UserError: if less is free.
    """
    free = shutil.disk_usage(path.parent).free
    if wanted > free:
        raise UserError(
            f"{wanted / 1e9:.1f} GB of {name} do not fit: {free / 1e9:.1f} GB are free",
            where=str(path.parent),
            hint="write to another disk, or store float16",
        )
