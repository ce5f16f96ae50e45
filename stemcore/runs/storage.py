"""How results are stored in an HDF5 file, and what may go wrong with its disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from stemcore.errors import UserError
from stemcore.runs.disk import Disk

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


class OutputFile:
    """A new HDF5 file whose disk may fail.

    Args:
        part: where it is written first.
        path: its name in errors.
    """

    def __init__(self, part: Path, path: Path) -> None:
        self.folder = part.parent
        self._disk = Disk(part, path)
        # Chunks come once and whole: kept in a cache, they would only hear of a full disk later.
        self.h5 = h5py.File(self._disk, "w", rdcc_nbytes=0)

    def check(self) -> None:
        """Raises what the disk said.

        Raises:
            OSError: if it failed.
        """
        self._disk.check()

    def close(self) -> None:
        """Closes it; once more does nothing."""
        self.h5.close()
        self._disk.close()


def check_space(folder: Path, wanted: int, name: str) -> None:
    """Refuses to begin what cannot fit.

    Args:
        folder: where it is to be.
        wanted: bytes.
        name: what it is.

    Raises:
        UserError: if less is free.
    """
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise UserError(
            f"{wanted / 1e9:.1f} GB of {name} do not fit: {free / 1e9:.1f} GB are free",
            where=str(folder),
            hint="write to another disk, or store float16",
        )
