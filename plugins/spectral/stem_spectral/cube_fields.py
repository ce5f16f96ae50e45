"""The fields of an item: how they are declared, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stem_spectral.collection import Bands, Entry, check_alike
from stem_spectral.labels import Labels
from stem_spectral.open_files import OpenFiles
from stem_spectral.windows import Pictures, Windows
from stemcore import FieldSpec


class Fields:
    """Declares and reads the fields of items.

    Args:
        files: opens the files.
        entries: the cubes.
        bands: those that are taken.
        size: height and width of an item.
        labels: what labels are called.
        no_data: the value without data that the recipe gives.
        bad_bands: ``mask`` masks the bands that a file marks as bad.
        unit: of the values, where the recipe gives it.

    Attributes:
        specs: the fields by name.
        item_bytes: of an item's ``input``.
        settings: what else decides which values are read.
    """

    def __init__(
        self,
        files: OpenFiles,
        entries: Sequence[Entry],
        bands: Bands,
        size: tuple[int, ...],
        labels: Labels,
        no_data: float | None,
        bad_bands: str,
        unit: str | None,
    ) -> None:
        self._entries, self._labels, self._wavelengths = entries, labels, bands.wavelengths
        self._windows, self._pictures = Windows(files, bands.numbers), Pictures()
        self._height, self._width = size
        self._no_data = [entry.cube.told.no_data if no_data is None else no_data for entry in entries]
        self._bad = [_bad(entry, bands.numbers) if bad_bands == "mask" else None for entry in entries]
        self._scaled = len({_coding(entry) for entry in entries}) > 1
        self._masked = any(
            entry.cube.mask or value is not None or (bad is not None and bad.any())
            for entry, value, bad in zip(entries, self._no_data, self._bad, strict=True)
        )
        self.specs: Mapping[str, FieldSpec] = self._declared((len(bands.numbers), *size), unit)
        self.item_bytes = self.specs["input"].size * np.dtype(self.specs["input"].dtype).itemsize
        self.settings = (
            [str(value) for value in self._no_data],
            [None if bad is None else bad.tolist() for bad in self._bad],
            [(entry.cube.axes, entry.cube.name, entry.cube.mask, entry.cube.label_map) for entry in entries],
        )

    @property
    def label_codes(self) -> np.ndarray:
        """The class number of each cube, -1 for none."""
        return np.asarray(self._labels.codes, np.int64)

    def read(self, number: int, row: int, column: int, out: Mapping[str, np.ndarray]) -> None:
        """Reads the item of cube ``number`` that begins at a row and column, each field (*shape) to its place."""
        entry = self._entries[number]
        window = (slice(row, row + self._height), slice(column, column + self._width))
        self._read_cube(number, window, out)
        if "wavelengths" in out:
            out["wavelengths"][...] = self._wavelengths
        if "label" in out:
            out["label"][...] = self._labels.codes[number]
        if "label_map" in out:
            out["label_map"][0] = self._labels.map_codes(self._windows.labels(entry.cube, window))
        if "rgb" in out:
            assert entry.row.rgb is not None
            picture = self._pictures.read(entry.row.rgb)
            out["rgb"][...] = picture[:, window[0], window[1]] if self._same_size else picture

    def close(self) -> None:
        """Forgets the pictures that were kept."""
        self._pictures.close()

    def _read_cube(self, number: int, window: tuple[slice, slice], out: Mapping[str, np.ndarray]) -> None:
        cube, values = self._entries[number].cube, out["input"]
        if self._scaled:
            stored = np.empty(values.shape, cube.dtype)
            self._windows.cube(cube, window, stored)
        else:
            stored = values
            self._windows.cube(cube, window, values)
        if self._masked:
            counts = _counting(stored, self._no_data[number])
            if cube.mask:
                self._windows.mask(cube, window, counts)
            bad = self._bad[number]
            if bad is not None:
                counts[bad] = False
            out["mask"][...] = counts
        if self._scaled:
            values[...] = stored * np.float32(cube.told.scale) + np.float32(cube.told.offset)
        if self._masked:
            values[~counts] = 0

    def _declared(self, shape: tuple[int, ...], unit: str | None) -> dict[str, FieldSpec]:
        first, told = self._entries[0].cube, self._entries[0].cube.told
        scale, offset = (1.0, 0.0) if self._scaled else (told.scale, told.offset)
        dtype = "float32" if self._scaled else first.dtype.name
        found = {"input": FieldSpec("input", shape, dtype, unit=unit or told.unit, scale=scale, offset=offset)}
        if self._masked:
            found["mask"] = FieldSpec("mask", shape, "bool", like="input")
        if self._wavelengths is not None:
            found["wavelengths"] = FieldSpec("wavelengths", shape[:1], unit="nm")
        if self._labels.classes:
            found["label"] = FieldSpec("label", (), "int64", classes=self._labels.classes)
        if self._labels.map_classes:
            classes = self._labels.map_classes
            found["label_map"] = FieldSpec("label_map", (1, *shape[1:]), "int64", like="input", classes=classes)
        self._same_size = all(entry.picture == entry.cube.shape[1:] for entry in self._entries)
        if self._entries[0].picture is not None:
            found["rgb"] = self._declared_picture(shape)
        return found

    def _declared_picture(self, shape: tuple[int, ...]) -> FieldSpec:
        """On the cube's pixels where pictures are as large as their cubes, else of a size of its own."""
        if self._same_size:
            return FieldSpec("rgb", (3, *shape[1:]), "uint8", like="input", scale=1 / 255)
        hint = "make each picture as large as its cube, or all of one size and leave out tile"
        if any(entry.cube.shape[1:] != shape[1:] for entry in self._entries):
            check_alike(
                self._entries, "its picture is as large as the cube", lambda e: e.picture == e.cube.shape[1:], hint
            )
        check_alike(self._entries, "size of the picture", lambda e: e.picture, hint)
        picture = self._entries[0].picture
        assert picture is not None
        return FieldSpec("rgb", (3, *picture), "uint8", scale=1 / 255)


def _coding(entry: Entry) -> tuple[str, float, float]:
    """What has to be the same for cubes that are handed on as stored."""
    return entry.cube.dtype.name, entry.cube.told.scale, entry.cube.told.offset


def _bad(entry: Entry, bands: np.ndarray) -> np.ndarray | None:
    good = entry.cube.told.good
    return None if good is None else ~good[bands]


def _counting(stored: np.ndarray, no_data: float | None) -> np.ndarray:
    """Which values are data: finite, and not the value that stands for none."""
    counts = np.isfinite(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    if no_data is not None and not np.isnan(no_data):
        # A float32 file holds the nearest float32 to the value that its header has in decimals.
        with np.errstate(over="ignore"):
            value = np.asarray(no_data).astype(stored.dtype) if stored.dtype.kind == "f" else no_data
        counts &= stored != value
    return counts
