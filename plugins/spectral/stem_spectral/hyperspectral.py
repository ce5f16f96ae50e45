"""Hyperspectral cubes, or tiles of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from stem_spectral.band_choice import BandChoice, BandIndex, BandWavelength
from stem_spectral.collection import bands_of, entries_of, files_of
from stem_spectral.cube import DATASET, Axes, Names
from stem_spectral.cube_fields import Fields
from stem_spectral.cutting import both, grids_of, tiling_of
from stem_spectral.elsewhere import has
from stem_spectral.labels import Labels
from stem_spectral.manifest import Columns, rows_at
from stem_spectral.open_files import OpenFiles
from stemcore import Dataset, FieldSpec, UserError

Pixels = Annotated[int, Field(ge=1)]
BLOCK_BYTES, BLOCK_ITEMS = 1 << 25, 64


class Hyperspectral(Dataset):
    """Hyperspectral cubes, whole or in tiles: HDF5, MATLAB, ENVI, GeoTIFF and .npy, one file or a table of files.

    Fields: ``input`` (bands, height, width) as stored; ``wavelengths`` (bands,) in nm where they are known; ``mask``
    (bands, height, width), true where a value counts, where the data have a mask, a value for no data, or bad bands
    that are masked (values that do not count are 0 in ``input``); ``label``, the table's, with its classes;
    ``label_map`` (1, height, width), negative where there is none; ``rgb`` (3, height, width), the table's pictures.

    Args:
        path: a cube, or a CSV file with a row for each cube. Paths in it are relative to it.
        dataset: path of the cube within HDF5 and MATLAB files; the default also takes the only array with three axes.
        axes: their order as stored, b for bands; ``auto``: as the format has it, else the bands are the one axis as
            long as the wavelengths, else bhw, and hwb in MATLAB files.
        bands: bands to take, by number from 0, or as [first, last] or [first, last, step], both ends taken.
        band_wavelengths: bands to take, by wavelength in nm (the nearest band), or as [first, last] (all between).
        wavelength_tolerance: how far in nm the nearest band may be.
        wavelengths: of the stored bands, in nm: the path of an array, a list, or the first and the last where they are
            evenly spaced; by default what the file has (``Wavelengths`` beside the cube, the header).
        tile: height and width of the tiles that scenes are cut into; a number for both.
        stride: from one tile to the next; by default the tile's size, so that tiles do not overlap.
        edges: ``shift``: the last tiles are shifted inwards, so that all of the scene is covered; ``drop``: what does
            not fill a tile is left out.
        regions: regions [down, across] that each scene is cut into before it is tiled. No tile reaches into two of
            them and each is a group, so that ``split: group`` is an honest split of one scene.
        region_gap: pixels left out between regions.
        no_data: the stored value of pixels without data, or ``nan``; by default what the file says.
        bad_bands: what to do with bands that an ENVI header marks as bad: drop, mask or keep them.
        mask: path of an array within HDF5 and MATLAB files that is true (not 0) where the cube counts, of the cube's
            shape or of one band's.
        label_map: path of an array of one band's shape with a whole number for each place.
        ignore_label: its value for places without a label; values above it count one less. ``null``: there is none.
        classes: names of the classes of ``label``, in order; where the table has no labels, of the values of
            ``label_map`` without the ignored one.
        unit: unit of the values, such as reflectance; by default what the file says.
        id_column: column of the table with the name of each cube.
        file_column: column with its file.
        label_column: column with its label; may be absent.
        rgb_column: column with a picture of it, such as PNG or JPEG; may be absent.
        split_column: column that says what a cube is for, train, val or test (``split: given``).
        group_column: column whose cubes of the same value stay together (``split: group``); by default each cube, or
            each region of it, is a group.

    Raises:
        UserError: with all that is wrong with the table and the files, by line.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        path: Path,
        dataset: str = DATASET,
        axes: Axes = "auto",
        bands: list[BandIndex] | None = None,
        band_wavelengths: list[BandWavelength] | None = None,
        wavelength_tolerance: Annotated[float, Field(gt=0)] = 10.0,
        wavelengths: str | Annotated[list[float], Field(min_length=2)] | None = None,
        tile: Pixels | tuple[Pixels, Pixels] | None = None,
        stride: Pixels | tuple[Pixels, Pixels] | None = None,
        edges: Literal["shift", "drop"] = "shift",
        regions: tuple[Pixels, Pixels] | None = None,
        region_gap: Annotated[int, Field(ge=0)] = 0,
        no_data: float | Literal["nan"] | None = None,
        bad_bands: Literal["drop", "mask", "keep"] = "drop",
        mask: str | None = None,
        label_map: str | None = None,
        ignore_label: int | None = 0,
        classes: list[str] | None = None,
        unit: str | None = None,
        id_column: str = "ID",
        file_column: str = "hs_file",
        label_column: str = "label",
        rgb_column: str = "rgb_file",
        split_column: str | None = None,
        group_column: str | None = None,
    ) -> None:
        self._path = path.expanduser()
        if group_column and regions:
            raise UserError("'regions' and 'group_column' both make groups", hint="leave one of them out")
        columns = Columns(id_column, file_column, label_column, rgb_column, split_column, group_column)
        self._rows = rows_at(self._path, columns)
        self._files = OpenFiles()
        names = Names(dataset, axes, mask, label_map, wavelengths)
        try:
            entries = entries_of(self._files, self._rows, names)
            chosen = bands_of(entries, BandChoice(bands, band_wavelengths, wavelength_tolerance), bad_bands)
            grids = grids_of(entries, tiling_of(tile, stride, edges, regions, region_gap))
            labels = Labels(self._files, entries, ignore_label, classes)
            size = both(tile) if tile is not None else entries[0].cube.shape[1:]
            value = float("nan") if no_data == "nan" else no_data
            self._reader = Fields(self._files, entries, chosen, size, labels, value, bad_bands, unit)
        finally:
            self._files.close()
        self._tiled, self._regions = tile is not None, regions is not None
        self._grid_shape = grids[0].shape if self._tiled and len(grids) == 1 else None
        self._number = np.repeat(np.arange(len(grids)), [len(grid.corners) for grid in grids])
        self._corners = np.concatenate([grid.corners for grid in grids])
        self._region = np.concatenate([grid.regions for grid in grids])
        self._all_files = files_of(self._path, entries)
        self._wavelengths = chosen.wavelengths
        self._band_numbers = chosen.numbers

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> Dataset:
        """Other cubes read the same way; what they need not have (labels, masks, columns that say what is for what) is
        left out where they lack it.

        Raises:
            UserError: as the constructor does.
        """
        found = {**arguments, "path": path}
        for role in ("mask", "label_map", "split_column", "group_column"):
            if found.get(role) and not has(path.expanduser(), role, found):
                found[role] = None
        for role in ("label_column", "rgb_column"):
            if role in found and not has(path.expanduser(), role, found):
                del found[role]  # Under its usual name the column may be absent.
        return cls(**found)

    def __len__(self) -> int:
        return len(self._number)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input``, and what accompanies it."""
        return self._reader.specs

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """Tiles down and across, of a single scene that is cut into tiles."""
        return self._grid_shape

    @property
    def groups(self) -> np.ndarray:
        """A number for each value of ``group_column``, else for each region of each cube, else for each cube."""
        named = [row.group for row in self._rows]
        if any(named):
            codes = {text: code for code, text in enumerate(sorted({text for text in named if text}))}
            of = np.array([codes.get(text or "", len(codes) + k) for k, text in enumerate(named)])
            return of[self._number]
        return self._number * (int(self._region.max()) + 1) + self._region

    @property
    def parts(self) -> np.ndarray | None:
        """What ``split_column`` says."""
        said = [row.part or "" for row in self._rows]
        return np.array(said, dtype=np.str_)[self._number] if any(said) else None

    @property
    def item_names(self) -> Sequence[str]:
        """The ID of each cube, of a tile with its first row and column: ``scene@32,64``."""
        ids = [self._rows[k].id for k in self._number.tolist()]
        if not self._tiled:
            return ids
        return [f"{name}@{row},{column}" for name, (row, column) in zip(ids, self._corners.tolist(), strict=True)]

    @property
    def files(self) -> Sequence[Path]:
        """The table, the cubes and their headers, the pictures."""
        return self._all_files

    def fingerprint(self) -> str:
        """Changes also with the bands and tiles that are taken."""
        taken = hashlib.sha256(super().fingerprint().encode())
        for values in (self._band_numbers, self._number, self._corners):
            taken.update(np.ascontiguousarray(values, np.int64).tobytes())
        taken.update(repr(self._reader.settings).encode())
        return taken.hexdigest()

    def blocks(self) -> Sequence[np.ndarray]:
        """Tiles of one row of a scene, up to 32 MB and 64 of them; each whole cube by itself."""
        most = max(1, min(BLOCK_ITEMS, BLOCK_BYTES // self._reader.item_bytes))
        new = np.flatnonzero(np.diff(self._number) | np.diff(self._corners[:, 0])) + 1
        rows = np.split(np.arange(len(self)), new)
        return [row[k : k + most] for row in rows for k in range(0, len(row), most)]

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices``. Raises ``IndexError`` if one is not in the data set."""
        count = np.asarray(indices).size
        out = {n: np.empty((count, *s.shape), s.dtype) for n, s in self.fields.items()}  # type: ignore[arg-type]
        self.read_into(indices, out)
        return out

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, straight to where the items belong."""
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"there are {len(self)} items, from 0; asked for {wanted.min()} to {wanted.max()}")
        for place in np.argsort(wanted, kind="stable").tolist():
            item = int(wanted[place])
            row, column = self._corners[item].tolist()
            rows = {name: values[place, ...] for name, values in out.items()}
            self._reader.read(int(self._number[item]), row, column, rows)

    def values(self, field: str) -> np.ndarray:
        """A field of all items; labels are those of the table."""
        if field == "label" and field in self.fields:
            return self._reader.label_codes[self._number]
        return super().values(field)

    def close(self) -> None:
        """Lets go of the files; ``read`` opens them again."""
        self._files.close()
        self._reader.close()
