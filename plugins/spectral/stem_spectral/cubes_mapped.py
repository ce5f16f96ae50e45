"""Cubes that are mapped into memory: ENVI's raw files and NumPy's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stem_spectral.cube_file import CubeFile, Told, nanometres, number
from stem_spectral.cube_libraries import imported
from stemcore import UserError

RAW = (".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip")
AXES = {"bsq": "bhw", "bil": "hbw", "bip": "hwb"}


class _Mapped(CubeFile):
    """A file with one array, which is mapped."""

    _array: np.ndarray | None

    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """The one array."""
        return {"": self.array("").shape}

    def array(self, name: str) -> np.ndarray:
        """The one array."""
        assert self._array is not None
        return self._array

    def close(self) -> None:
        """Lets go of the map; the file stays mapped while slices of it are in use."""
        self._array = None


class NumpyCube(_Mapped):
    """A .npy file. Pickled objects are refused."""

    kind = "NumPy"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._array = np.load(path, mmap_mode="r", allow_pickle=False)


class EnviCube(_Mapped):
    """An ENVI header and the raw file that it is for, of any interleave, byte order and offset."""

    kind = "ENVI"

    def __init__(self, path: Path) -> None:
        envi = imported("spectral.io.envi", "reading ENVI files")
        super().__init__(_header_of(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names in capitals, which are read all the same
            try:
                image = envi.open(str(self.path), None if path.suffix.lower() == ".hdr" else str(path))
            except envi.EnviDataFileNotFoundError as error:
                hint = f"put {path.stem}{RAW[0]} beside it, or name the raw file in place of the header"
                raise UserError("is the header of a raw file that is not there", where=str(path), hint=hint) from error
        if not hasattr(image, "open_memmap"):
            raise UserError("is a spectral library, not an image", where=str(path))
        self._header: Mapping[str, Any] = image.metadata
        self._told_axes = AXES[str(self._header["interleave"]).lower()]
        data = Path(image.filename)
        image.fid.close()
        self._array = np.memmap(data, image.dtype, "r", image.offset, self._shape(image))
        self.beside = (data if path.suffix.lower() == ".hdr" else self.path,)
        self.path = path

    def told(self, name: str) -> Told:
        """``wavelength`` with its units, ``bbl``, ``data ignore value`` and ``reflectance scale factor``."""
        header = self._header
        bands = int(header["bands"])
        listed, bad = header.get("wavelength"), header.get("bbl")
        return Told(
            axes=self._told_axes,
            wavelengths=nanometres(np.array(listed, float), header.get("wavelength units"))
            if isinstance(listed, list) and len(listed) == bands
            else None,
            good=np.array(bad, float) != 0 if isinstance(bad, list) and len(bad) == bands else None,
            no_data=number(_float(header.get("data ignore value"))),
            scale=1 / (number(_float(header.get("reflectance scale factor"))) or 1.0),
            unit="reflectance" if "reflectance scale factor" in header else None,
        )

    def _shape(self, image: Any) -> tuple[int, ...]:
        size = {"b": image.nbands, "h": image.nrows, "w": image.ncols}
        return tuple(size[axis] for axis in self._told_axes)


def _float(text: Any) -> float | None:
    return None if text is None else float(text)


def _header_of(path: Path) -> Path:
    """The header of a raw file, or the header itself."""
    if path.suffix.lower() == ".hdr":
        return path
    for header in (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr"), path.with_suffix(".HDR")):
        if header.is_file():
            return header
    raise UserError("has no ENVI header", where=str(path), hint=f"put {path.stem}.hdr beside it")
