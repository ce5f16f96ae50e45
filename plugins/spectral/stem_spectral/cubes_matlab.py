"""Cubes in MATLAB files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from stem_spectral.cube_file import CubeFile, Told
from stem_spectral.cube_libraries import imported
from stem_spectral.cubes_hdf5 import MatlabHdf5, wavelengths_beside

TYPES = {"double": "float64", "single": "float32", "logical": "bool"}
NUMBERS = frozenset({*TYPES, *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))})


class MatlabCubes(CubeFile):
    """A MATLAB file up to version 7, whose variables are compressed: each is read as a whole when first asked for."""

    kind = "MATLAB"
    axes = "hwb"
    named = True
    exclusive = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._io = imported("scipy.io", "reading MATLAB files")
        listed = [entry for entry in self._io.whosmat(str(path)) if entry[2] in NUMBERS]
        self._shapes = {name: tuple(shape) for name, shape, _ in listed}
        self._types = {name: np.dtype(TYPES.get(kind, kind)) for name, _, kind in listed}
        self._read: dict[str, np.ndarray] = {}

    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """The variables that are arrays of numbers."""
        return self._shapes

    def array(self, name: str) -> np.ndarray:
        """The variable."""
        if name not in self._read:
            self._read[name] = self._io.loadmat(str(self.path), variable_names=[name], mat_dtype=True)[name]
            self._held = sum(values.nbytes for values in self._read.values())
        return self._read[name]

    def dtype(self, name: str) -> np.dtype:
        """MATLAB's type, which may be wider than what the file stores."""
        return self._types[name]

    def told(self, name: str) -> Told:
        """A variable ``wavelengths``."""
        return Told(wavelengths=wavelengths_beside(self, name))

    def close(self) -> None:
        """Lets go of what was read."""
        self._read = {}
        self._held = 0


def matlab(path: Path) -> CubeFile:
    """The file, by its version."""
    return MatlabHdf5(path) if h5py.is_hdf5(path) else MatlabCubes(path)
