"""HyperSpy's HDF5 files: where the signal is, and how its axes are calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from stemcore import UserError


@dataclass(frozen=True)
class Signal:
    """A spectrum image in a file.

    Attributes:
        name: of its group.
        scan_shape: sizes of the navigation axes.
        energies: centres of the channels (channels,), in ``units``.
        units: of the energies.
        dtype: as stored.
        chunks: as stored, ``None`` for a contiguous data set.
    """

    name: str
    scan_shape: tuple[int, ...]
    energies: np.ndarray
    units: str
    dtype: np.dtype
    chunks: tuple[int, ...] | None


def opened(path: Path) -> h5py.File:
    """The file, to be read.

    Raises:
        UserError: if it is not there or no HDF5 file.
    """
    if not path.is_file():
        raise UserError("there is no such file", where=str(path))
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"it cannot be read as HDF5: {str(error).splitlines()[0]}", where=str(path)) from error


def signal_of(file: h5py.File, path: Path, name: str | None) -> Signal:
    """The signal called ``name``, or the only one.

    Raises:
        UserError: if there is none of that name, several without a name, or no spectrum image behind it.
    """
    where = str(path)
    group = file.get("Experiments")
    there = sorted(group) if isinstance(group, h5py.Group) else []
    if not there:
        raise UserError("there is no group 'Experiments', as HyperSpy's files have", where=where)
    if name is None and len(there) > 1:
        raise UserError("it has several signals", where=where, hint=f"say which, signal: {' or '.join(there)}")
    chosen = there[0] if name is None else name
    if chosen not in there:
        raise UserError(f"there is no signal '{chosen}'", where=where, hint=f"there is {', '.join(there)}")
    found = group[chosen]
    data = found.get("data") if isinstance(found, h5py.Group) else None
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "uif":
        raise UserError(f"signal '{chosen}' has no numbers under 'data'", where=where)
    return Signal(chosen, *_axes(found, data, f"{where}, signal '{chosen}'"), data.dtype, data.chunks)


def _axes(group: h5py.Group, data: h5py.Dataset, where: str) -> tuple[tuple[int, ...], np.ndarray, str]:
    axes = [group[f"axis-{n}"].attrs for n in range(data.ndim) if f"axis-{n}" in group]
    navigate = [bool(axis.get("navigate", n < len(axes) - 1)) for n, axis in enumerate(axes)]
    if len(axes) != data.ndim or navigate.count(False) != 1 or navigate[-1]:
        raise UserError(
            f"its shape is {data.shape} with {len(axes)} axes, {navigate.count(False)} of them of the signal",
            where=where,
            hint="a spectrum image has one signal axis, the last one",
        )
    energy = axes[-1]
    units = energy.get("units", "keV")
    centres = float(energy.get("offset", 0)) + float(energy.get("scale", 1)) * np.arange(data.shape[-1])
    return tuple(int(n) for n in data.shape[:-1]), centres, units.decode() if isinstance(units, bytes) else str(units)
