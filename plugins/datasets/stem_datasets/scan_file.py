"""One HDF5 file of a data set: its patterns, its scan, and what accompanies them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from stem_datasets.companions import Companions
from stem_datasets.filters import missing_package
from stem_datasets.handles import Handles
from stem_datasets.pathology import pathology
from stem_datasets.quantisation import Quantisation, quantisation_of
from stem_datasets.stored import StoredArray
from stemcore import UserError

log = logging.getLogger("stemcore")

LARGE_BYTES = 1 << 28


@dataclass(frozen=True)
class Names:
    """The datasets to read in each file."""

    patterns: str
    mask: str | None = None
    labels: str | None = None
    groups: str | None = None
    expected: str | None = None
    expected_index: str | None = None


class ScanFile:
    """The items of one file.

    Attributes:
        rows: the stored pattern behind each item: all of them, or those that can be decoded.
        scan_shape: shape of the scan over the stored patterns, where it is known.

    Args:
        handles: opens the file.
        path: the file.
        names: the datasets to read.
        scan_shape: shape of the scan, where the user gave one that is not in the file.
        dequantise: whether attributes of the patterns say how they become physical values.
        skip_unreadable: leaves out patterns whose storage cannot be decoded.
    """

    def __init__(
        self,
        handles: Handles,
        path: Path,
        names: Names,
        *,
        scan_shape: tuple[int, ...] | None = None,
        dequantise: bool = True,
        skip_unreadable: bool = False,
    ) -> None:
        self.path, self.patterns = path, StoredArray(handles, path, names.patterns)
        dataset = handles.file(path)[names.patterns]
        _advise(path, dataset)
        check_scan_shape(scan_shape, len(self.patterns), path)
        self.scan_shape = scan_shape or scan_shape_of(dataset, self.patterns.lead)
        self.quantisation = quantisation_of(dataset.attrs, self.patterns.dtype, path) if dequantise else Quantisation()
        beside = Companions(handles, self.patterns, self.scan_shape)
        self._mask = beside.mask(names.mask) if names.mask else None
        self._labels = beside.numbers(names.labels, "labels") if names.labels else None
        self._groups = beside.numbers(names.groups, "groups") if names.groups else None
        self._expected = beside.expected(names.expected, names.expected_index) if names.expected else None
        self.rows = np.arange(len(self.patterns))
        self.dropped = 0
        if skip_unreadable:
            self._drop_unreadable()

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> list[np.ndarray]:
        """Items that are cheap to read together."""
        if not self.dropped:
            return self.patterns.blocks()
        item_of = np.full(len(self.patterns), -1, np.int64)
        item_of[self.rows] = np.arange(len(self.rows))
        left = (item_of[rows] for rows in self.patterns.blocks())
        return [items[items >= 0] for items in left if (items >= 0).any()]

    @property
    def groups(self) -> np.ndarray | None:
        """The group number of each item, where groups are named."""
        return None if self._groups is None else self._groups[self.rows]

    @property
    def labels(self) -> np.ndarray:
        """The label of each item, where there are labels."""
        return self._labels[self.rows]

    def read(self, items: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """Reads ``items`` (ascending, none twice) into arrays (len(items), 1, height, width); labels (len(items),)."""
        rows = self.rows[items]
        self.patterns.read(rows, out["input"][:, 0])
        if isinstance(self._mask, StoredArray):
            self._mask.read(rows, out["mask"][:, 0])
        elif self._mask is not None:
            out["mask"][:] = self._mask
        if self._labels is not None:
            out["label"][:] = self._labels[rows]
        if self._expected is not None:
            _read_expected(*self._expected, rows, out["expected"][:, 0])

    def read_rows(self, items: np.ndarray, out: Sequence[np.ndarray]) -> bool:
        """Reads ``items`` (ascending, none twice), each into an array (1, height, width), if they are stored one by
        one."""
        return self.patterns.read_rows(self.rows[items], [row[0] for row in out])

    def _drop_unreadable(self) -> None:
        bad = self.patterns.unreadable()
        self.dropped = len(bad)
        self.rows = np.setdiff1d(self.rows, bad)
        if not len(self.rows):
            raise UserError("none of its patterns can be read", where=str(self.path), hint="copy the file again")
        if self.dropped:
            log.warning("%s: left out %d of %d patterns, which cannot be read", self.path, len(bad), len(self.patterns))


def _advise(path: Path, dataset: h5py.Dataset) -> None:
    """Says what would make a large data set faster to read."""
    if trouble := pathology(dataset):
        log.warning("%s: %s", path, trouble)
    if dataset.nbytes > LARGE_BYTES and (package := missing_package(dataset)):
        log.warning("%s: '%s' would decode it in threads: pip install 'stemcore[fast]'", path, package)


def scan_shape_of(dataset: h5py.Dataset, lead: tuple[int, ...]) -> tuple[int, ...] | None:
    """The scan's shape: that of the array, else ``scan_shape`` as an attribute of it or of the root, or as a
    dataset at the root, where it has as many positions as there are patterns."""
    if len(lead) > 1:
        return lead
    root = dataset.file
    for place in (dataset.attrs, root.attrs, root):
        if "scan_shape" not in place:
            continue
        value = place["scan_shape"]
        shape = np.asarray(value[()] if isinstance(value, h5py.Dataset) else value)
        if shape.dtype.kind in "iu" and shape.ndim == 1 and shape.min() > 0 and math.prod(shape.tolist()) == lead[0]:
            return tuple(shape.tolist())
        log.warning("%s: its scan_shape %s is not used: there are %d patterns", root.filename, shape, lead[0])
    return None


def check_scan_shape(given: tuple[int, ...] | None, patterns: int, path: Path) -> None:
    """Raises ``UserError`` where the scan that was given has not as many positions as there are patterns."""
    if given and math.prod(given) != patterns:
        raise UserError(
            f"'scan_shape' {list(given)} has {math.prod(given)} positions, there are {patterns} patterns",
            where=str(path),
            hint="rows times columns must be the number of patterns",
        )


def _read_expected(stored: StoredArray, row_of: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Reads the truth of some rows into ``out`` (len(rows), height, width), NaN for those that have none."""
    wanted = row_of[rows]
    there = np.flatnonzero(wanted >= 0)
    order = np.argsort(wanted[there])
    values = np.empty((len(there), *stored.image), np.float32)
    stored.read(wanted[there][order], values)
    out[:] = np.nan
    out[there[order]] = values
