"""Cubes in GeoTIFF files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from stem_spectral.cube_file import CubeFile, Told, nanometres
from stem_spectral.cube_libraries import imported
from stem_spectral.tiff_segments import Segments
from stemcore import UserError

GDAL_METADATA, GDAL_NODATA = 42112, 42113
"""Numbers of the tags."""


class GeoTiffCube(CubeFile):
    """A GeoTIFF, its bands planar, interleaved, or a page each. Without compression it is mapped into memory, else the
    strips or tiles that are touched are decoded."""

    kind = "GeoTIFF"
    exclusive = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        tifffile = imported("tifffile", "reading GeoTIFF files")
        self._file = tifffile.TiffFile(path)
        try:
            series = self._file.series[0]
            if series.ndim != 3 or not {"Y", "X"} <= {*series.axes}:
                raise UserError(f"its image has the axes {series.axes}, {series.shape}", where=str(path), hint=RIGHT)
            self._axes = "".join({"Y": "h", "X": "w"}.get(axis, "b") for axis in series.axes)
            tags = series.keyframe.tags
            self._tags = {tag: tags[tag].value for tag in (GDAL_METADATA, GDAL_NODATA) if tag in tags}
            mapped = series.dataoffset is not None
            self._array: Any = tifffile.memmap(path, mode="r") if mapped else Segments(self._file, series, self._axes)
            self._shape: tuple[int, ...] = tuple(self._array.shape)
        except BaseException:
            self._file.close()
            raise

    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """The one image."""
        return {"": self._shape}

    def array(self, name: str) -> Any:
        """The image."""
        return self._array

    @property
    def held(self) -> int:
        """What is kept of decoded strips and tiles."""
        return self._array.held if isinstance(self._array, Segments) else 0

    def told(self, name: str) -> Told:
        """What GDAL wrote: the value without data, scale and offset, wavelengths.

        Raises:
            UserError: if bands differ in scale or offset.
        """
        items = self._items()
        no_data = self._tags.get(GDAL_NODATA)
        try:
            value = None if no_data is None else float(str(no_data).strip().strip("\0"))
        except ValueError:
            value = None
        waves = self._by_band(items, "wavelength")
        unit = next((text for key, text in items if key[0] == "wavelength_units"), None)
        return Told(
            axes=self._axes,
            wavelengths=None if waves is None else nanometres(waves, unit),
            no_data=value,
            scale=self._common(items, "scale", 1.0),
            offset=self._common(items, "offset", 0.0),
        )

    def _items(self) -> list[tuple[tuple[str, int], str]]:
        """((name, band), text) of GDAL's items, by their role where they have one."""
        text = self._tags.get(GDAL_METADATA)
        if not text:
            return []
        try:
            root = ElementTree.fromstring(str(text).strip("\0"))
        except ElementTree.ParseError:
            return []
        return [
            ((str(i.get("role") or i.get("name", "")).lower(), int(i.get("sample", -1))), (i.text or "").strip())
            for i in root.iter("Item")
        ]

    def _common(self, items: list[tuple[tuple[str, int], str]], name: str, usual: float) -> float:
        """The number that all bands have."""
        found = {key[1]: float(text) for key, text in items if key[0] == name}
        values = {found.get(band, usual) for band in range(self._shape[self._axes.index("b")])}
        if len(values) > 1:
            hint = "write physical values, such as by gdal_translate -unscale -ot Float32"
            raise UserError(f"its bands have different {name}s", where=str(self.path), hint=hint)
        return values.pop()

    def _by_band(self, items: list[tuple[tuple[str, int], str]], name: str) -> np.ndarray | None:
        found = {key[1]: text for key, text in items if key[0] == name}
        count = self._shape[self._axes.index("b")]
        try:
            return np.array([float(found[band]) for band in range(count)])
        except (KeyError, ValueError):
            return None

    def close(self) -> None:
        """Lets go of the file."""
        self._array = None
        self._file.close()


RIGHT = "right are several bands: (bands, height, width) planar or (height, width, bands) interleaved"
