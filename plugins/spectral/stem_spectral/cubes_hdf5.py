"""Cubes in HDF5 files, and in MATLAB's files of version 7.3, which are HDF5 with the axes reversed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stem_spectral.cube_file import CubeFile, Told, nanometres, number

WAVELENGTHS = ("wavelengths", "wavelength")
"""Names, in any case, of what lies beside a cube and has as many values as it has bands."""

CACHE, MOST_CACHE = 1 << 24, 1 << 28
"""Bytes of decoded chunks that are kept of an array, at least and at most."""


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
        self._file = h5py.File(path, "r", locking="best-effort")

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
            self._open[name] = h5py.Dataset(h5py.h5d.open(self._file.id, name.encode(), self._access(name)))
        return self._open[name]

    def _access(self, name: str) -> Any:
        """How the dataset is to be opened: with room for the chunks that a row of tiles touches. It counts for the
        first that opens it, so nothing else may have it open."""
        access, stored = h5py.h5p.create(h5py.h5p.DATASET_ACCESS), self._file[name]
        if stored.chunks is not None:
            size = min(max(row_of_chunks(stored.shape, stored.chunks, stored.dtype.itemsize), CACHE), MOST_CACHE)
            number = size // (math.prod(stored.chunks) * stored.dtype.itemsize) + 1
            access.set_chunk_cache(max(521, 10 * number + 1), size, 0.75)  # few of the chunks share a slot
            self._held += min(size, stored.nbytes)
        return access

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
        self._held = 0
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


def row_of_chunks(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> int:
    """Bytes of the chunks that tiles beside each other touch: one along the rows, all along the others. With the bands
    first or last the axis in the middle is that of the rows, or that of the columns, which comes to much the same."""
    whole = [chunk * -(-length // chunk) for length, chunk in zip(shape, chunks, strict=True)]
    if len(whole) == 3:
        whole[1] = chunks[1]
    return math.prod(whole) * itemsize


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
