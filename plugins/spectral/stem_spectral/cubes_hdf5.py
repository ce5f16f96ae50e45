"""Cubes in HDF5 files, and in MATLAB's files of version 7.3, which are HDF5 with the axes reversed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stem_spectral.cube_file import CubeFile, Told, nanometres, number

WAVELENGTHS = ("wavelengths", "wavelength")
"""Names, in any case, of what lies beside a cube and has as many values as it has bands."""


CACHE = 1 << 24
"""Bytes of decoded chunks that are kept of each array: the tiles of a scene share them."""


class Hdf5Cubes(CubeFile):
    """An HDF5 file."""

    kind = "HDF5"
    named = True
    exclusive = True
    reversed = False

    def __init__(self, path: Path) -> None:
        import hdf5plugin  # noqa: F401  importing it registers the filters

        super().__init__(path)
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._open: dict[str, Any] = {}
        self._file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=CACHE)

    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """Every dataset of numbers by its path."""
        if self._shapes is None:
            self._shapes = self._looked_up()
        return self._shapes

    def _looked_up(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}

        def look(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf" and item.shape:
                found[name] = item.shape[::-1] if self.reversed else item.shape

        self._file.visititems(look)
        return found

    def array(self, name: str) -> Any:
        """The dataset, opened once: what is kept of its chunks is lost when it is closed."""
        if name not in self._open:
            self._open[name] = self._file[name]
        return self._open[name]

    def told(self, name: str) -> Told:
        """By the conventions of netCDF: ``scale_factor``, ``add_offset``, ``_FillValue``, ``units``."""
        attributes = self._file[name].attrs
        found = {key: number(attributes.get(key)) for key in ("scale_factor", "add_offset", "_FillValue")}
        return Told(
            wavelengths=wavelengths_beside(self, name),
            no_data=found["_FillValue"],
            scale=found["scale_factor"] or 1.0,
            offset=found["add_offset"] or 0.0,
            unit=self.unit_of(name),
        )

    def unit_of(self, name: str) -> str | None:
        """The attribute ``units``."""
        return _text(self._file[name].attrs.get("units"))

    def classes(self, name: str) -> tuple[str, ...]:
        """The attribute ``class_names``."""
        names = self._file[name].attrs.get("class_names")
        return () if names is None else tuple(_text(text) or "" for text in np.asarray(names).reshape(-1))

    def close(self) -> None:
        """Closes the file."""
        self._open.clear()
        self._file.close()


class MatlabHdf5(Hdf5Cubes):
    """A MATLAB file of version 7.3: its arrays have the axes that MATLAB shows."""

    kind = "MATLAB"
    axes = "hwb"
    reversed = True

    def array(self, name: str) -> Any:
        """The variable."""
        return _Reversed(super().array(name))

    def told(self, name: str) -> Told:
        """The wavelengths that lie beside the cube."""
        return Told(wavelengths=wavelengths_beside(self, name))


class _Reversed:
    """An array with its axes in the opposite order, sliced where it is stored."""

    def __init__(self, stored: h5py.Dataset) -> None:
        self._stored = stored
        self.shape = stored.shape[::-1]
        self.dtype = stored.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        reverse = index[::-1] if isinstance(index, tuple) else index
        return np.asarray(self._stored[reverse]).T


def wavelengths_beside(file: CubeFile, name: str) -> np.ndarray | None:
    """Wavelengths in the cube's group (``Wavelengths`` beside ``Images``), where there are any."""
    group = name.rpartition("/")[0]
    length = file.arrays()[name]
    for other, shape in file.arrays().items():
        where, _, last = other.rpartition("/")
        if where == group and last.lower() in WAVELENGTHS and max(shape) == int(np.prod(shape)) in length:
            unit = file.unit_of(other) if isinstance(file, Hdf5Cubes) else None
            return nanometres(np.asarray(file.array(other)[()]).reshape(-1), unit)
    return None


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else None if value is None else str(value)
