"""4D-STEM scans in HDF5 files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from stem_datasets.handles import Handles
from stem_datasets.paths import files_named
from stem_datasets.scan_file import Names, ScanFile, check_scan_shape
from stemcore import Dataset, FieldSpec, UserError

COMPANIONS = ("mask", "labels", "expected", "expected_index", "groups")


class Hdf5(Dataset):
    """Diffraction patterns in one or several HDF5 files, of any real type, byte order and compression.

    The patterns are (n, h, w), or (scan rows, scan columns, h, w), whose positions are counted row by row. An item's
    ``input`` is (1, h, w) in the stored type; it holds counts, or, where the dataset has the attributes
    ``scale_factor`` and ``add_offset``, or ``data_min`` with ``data_range`` or ``data_max``, the numbers from which
    the field's ``scale`` and ``offset`` make physical values.

    Args:
        path: a file, a glob, or a list of them; several files are read as one data set, in the order of the list,
            those of a glob in alphabetical order.
        dataset: path of the patterns within each file.
        mask: dataset that is true (not 0) where a pixel counts, (h, w) for all patterns or one for each: ``mask``.
        labels: dataset with a whole number for each pattern: ``label``.
        expected: dataset of noise-free patterns: ``expected``, in float32.
        expected_index: dataset with the pattern that each row of ``expected`` belongs to; all other patterns
            have NaN. Without it there is one for each pattern.
        expected_scale: what ``expected`` is multiplied by to be in the units of the patterns, such as the dose.
        groups: dataset with a group number for each pattern, for ``split: group``; several files without it are a
            group each.
        scan_shape: shape of the scan, where the file does not say it (4-D patterns do, and ``scan_shape`` as an
            attribute or a dataset at the root).
        dequantise: whether attributes of the patterns are taken for a scale and an offset.
        skip_unreadable: leaves out patterns that cannot be decoded, for which all are decoded once at the start.

    Raises:
        UserError: for files and datasets that are missing, damaged, of a wrong shape or type, or do not go together.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        path: Path | list[Path],
        dataset: str = "patterns",
        mask: str | None = None,
        labels: str | None = None,
        expected: str | None = None,
        expected_index: str | None = None,
        expected_scale: Annotated[float, Field(gt=0)] = 1.0,
        groups: str | None = None,
        scan_shape: list[Annotated[int, Field(ge=1)]] | None = None,
        dequantise: bool = True,
        skip_unreadable: bool = False,
    ) -> None:
        if expected_index and not expected:
            raise UserError("'expected_index' is given without 'expected'", hint="name the noise-free patterns too")
        self._files = files_named(path)
        self._handles = Handles()
        given = tuple(scan_shape) if scan_shape else None
        names = Names(dataset, mask, labels, groups, expected, expected_index)
        self._scans = [
            ScanFile(
                self._handles,
                file,
                names,
                scan_shape=given if len(self._files) == 1 else None,
                dequantise=dequantise,
                skip_unreadable=skip_unreadable,
            )
            for file in self._files
        ]
        self._check_alike()
        self._starts = np.cumsum([0] + [len(scan) for scan in self._scans])
        self._fields = self._make_fields(names, expected_scale)
        self._scan_shape = self._whole_scan(given)
        self._blocks: list[np.ndarray] | None = None
        self.close()

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> Dataset:
        """Other files read the same way; masks, labels and a truth that they do not have are left out.

        Raises:
            UserError: as the constructor does.
        """
        handles = Handles()
        file = handles.file(files_named(path)[0])
        absent = {role: None for role in COMPANIONS if arguments.get(role) and arguments[role] not in file}
        handles.close()
        if "expected" in absent or "expected_index" in absent:
            absent |= {"expected": None, "expected_index": None}
        scan_shape = arguments.pop("scan_shape", None)
        found = Hdf5(**{**arguments, **absent, "path": path})
        if scan_shape and found.scan_shape is None and math.prod(scan_shape) == len(found):
            return Hdf5(**{**arguments, **absent, "path": path, "scan_shape": scan_shape})
        return found

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input``, and as asked for ``mask``, ``label`` and ``expected``."""
        return self._fields

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """Shape of the scan; ``None`` for several files without a given one, and where patterns were left out."""
        return self._scan_shape

    @property
    def groups(self) -> np.ndarray | None:
        """The group number of each item: as stored, else the number of its file where there are several."""
        stored = [scan.groups for scan in self._scans if scan.groups is not None]
        if stored:
            return np.concatenate(stored)
        several = len(self._scans) > 1
        return np.repeat(np.arange(len(self._scans)), [len(scan) for scan in self._scans]) if several else None

    @property
    def files(self) -> Sequence[Path]:
        """The files in order."""
        return tuple(self._files)

    def blocks(self) -> Sequence[np.ndarray]:
        """Items by storage chunk, in tiles of 16 patterns to 32 MB; none spans two files."""
        if self._blocks is None:
            numbered = zip(self._starts, self._scans, strict=False)
            self._blocks = [start + items for start, scan in numbered for items in scan.blocks()]
        return self._blocks

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices``: every chunk they lie in is decoded once.

        Raises:
            UserError: naming the first pattern that cannot be read.
            IndexError: if an index is not in the data set.
        """
        values = self._empty(np.size(indices))
        self.read_into(indices, values)
        return values

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, into memory that is there already."""
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not len(wanted):
            return
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(f"there are {len(self)} items, from 0; asked for {wanted.min()} to {wanted.max()}")
        if (wanted[1:] > wanted[:-1]).all():  # as blocks are: nothing to sort, nothing to put back
            self._read_ascending(wanted, out)
            return
        items, back = np.unique(wanted, return_inverse=True)
        values = self._empty(len(items))
        self._read_ascending(items, values)
        for name, array in values.items():
            out[name][...] = array[back]

    def read_rows(self, indices: np.ndarray, out: Mapping[str, Sequence[np.ndarray]]) -> bool:
        """As ``read_into``, each item to an array of its own, where one file holds patterns alone, each by itself."""
        alone = len(self._scans) == 1 and list(self._fields) == ["input"] and len(indices) > 0
        if not alone or indices[0] < 0 or indices[-1] >= len(self) or not (indices[1:] > indices[:-1]).all():
            return False
        return self._scans[0].read_rows(indices, out["input"])

    def values(self, field: str) -> np.ndarray:
        """A field of all items; labels are in memory."""
        if field == "label" and field in self._fields:
            return np.concatenate([scan.labels for scan in self._scans])
        return super().values(field)

    def _empty(self, items: int) -> dict[str, np.ndarray]:
        return {name: np.empty((items, *spec.shape), spec.dtype) for name, spec in self._fields.items()}

    def _read_ascending(self, items: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        if len(self._scans) == 1:
            self._scans[0].read(items, out)
            return
        cuts = np.searchsorted(items, self._starts)
        for number, scan in enumerate(self._scans):
            here = slice(cuts[number], cuts[number + 1])
            if here.start < here.stop:
                scan.read(items[here] - self._starts[number], {name: v[here] for name, v in out.items()})

    def close(self) -> None:
        """Closes the files; ``read`` opens them again."""
        self._handles.close()

    def _check_alike(self) -> None:
        first, *others = self._scans
        for scan in others:
            for what, mine, its in (
                ("shape", first.patterns.image, scan.patterns.image),
                ("type", first.patterns.dtype, scan.patterns.dtype),
                ("scale and offset", first.quantisation, scan.quantisation),
            ):
                if mine != its:
                    raise UserError(
                        f"its patterns have the {what} {its}, those of {first.path} {mine}",
                        where=str(scan.path),
                        hint="files read together must agree",
                    )

    def _make_fields(self, names: Names, expected_scale: float) -> dict[str, FieldSpec]:
        patterns, quantisation = self._scans[0].patterns, self._scans[0].quantisation
        shape = (1, *patterns.image)
        unit = "counts" if quantisation.plain else None
        fields = [
            FieldSpec(
                "input",
                shape,
                "uint8" if patterns.dtype.kind == "b" else patterns.dtype.name,
                unit,
                scale=quantisation.scale,
                offset=quantisation.offset,
                minimum=None if quantisation.offset < 0 else 0.0,
                implicit_channel=True,
            )
        ]
        if names.mask:
            fields.append(FieldSpec("mask", shape, "bool", like="input", implicit_channel=True))
        if names.labels:
            fields.append(FieldSpec("label", (), "int64"))
        if names.expected:
            truth = FieldSpec(
                "expected", shape, unit=unit, like="input", scale=expected_scale, finite=False, implicit_channel=True
            )
            fields.append(truth)
        return {field.name: field for field in fields}

    def _whole_scan(self, given: tuple[int, ...] | None) -> tuple[int, ...] | None:
        stored = sum(len(scan.patterns) for scan in self._scans)
        check_scan_shape(given, stored, self._files[0])
        if len(self) != stored:
            return None
        return given or (self._scans[0].scan_shape if len(self._scans) == 1 else None)
