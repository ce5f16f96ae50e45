"""Which format a file with a cube has, and how it is opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from stem_spectral.cube_file import CubeFile
from stem_spectral.cubes_geotiff import GeoTiffCube
from stem_spectral.cubes_hdf5 import Hdf5Cubes
from stem_spectral.cubes_mapped import RAW, EnviCube, NumpyCube
from stem_spectral.cubes_matlab import matlab
from stemcore import UserError, missing_file

FORMATS: dict[str, Callable[[Path], CubeFile]] = {
    **dict.fromkeys((".h5", ".hdf5", ".he5", ".nc"), Hdf5Cubes),
    ".mat": matlab,
    **dict.fromkeys((".hdr", *RAW), EnviCube),
    **dict.fromkeys((".tif", ".tiff"), GeoTiffCube),
    ".npy": NumpyCube,
}
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
"""Failures of storage that may pass."""


def open_cubes(path: Path) -> CubeFile:
    """The file, opened.

    Raises:
        UserError: for a file that is missing, damaged, or of another format.
        OSError: where storage failed in a way that may pass.
    """
    check_file(path)
    opener = FORMATS.get(path.suffix.lower())
    if opener is None:
        endings = ", ".join(FORMATS)
        raise UserError("is none of the known formats", where=str(path), hint=f"they end in {endings}")
    try:
        return opener(path)
    except UserError:
        raise
    except Exception as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> Exception:
    """What to raise for a file that a library failed to read: its own error where that may pass."""
    if isinstance(error, OSError) and error.errno in PASSING:
        return error
    said = str(error).strip().splitlines()
    why = said[0] if said else type(error).__name__
    return UserError(f"cannot be read: {why}", where=str(path), hint="is it whole, and what its ending says?")


def check_file(path: Path) -> None:
    """Raises ``UserError`` unless ``path`` is a file that may be read and has anything in it."""
    if path.is_dir():
        raise UserError("is a directory", where=str(path), hint="name a file in it")
    if not path.exists():
        raise missing_file(path)
    if not os.access(path, os.R_OK):
        raise UserError("may not be read: permission denied", where=str(path))
    if path.stat().st_size == 0:
        raise UserError("is empty", where=str(path))
