"""What accompanies the patterns of a file: a mask, labels, groups, the noise-free truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stem_datasets.handles import Handles
from stem_datasets.lookup import find
from stem_datasets.stored import StoredArray
from stemcore import UserError


class Companions:
    """Reads arrays that belong to ``patterns`` and refuses those whose shape does not match.

    Args:
        handles: opens the file.
        patterns: the patterns.
        scan_shape: the shape of their scan, where it is known.
    """

    def __init__(self, handles: Handles, patterns: StoredArray, scan_shape: tuple[int, ...] | None) -> None:
        self._handles, self._patterns = handles, patterns
        self._scan_shape = scan_shape
        self._path: Path = patterns.path

    def numbers(self, name: str, role: str) -> np.ndarray:
        """A whole number per item (n,), int64, from a dataset of shape (n,) or shaped like the scan."""
        stored = find(self._handles.file(self._path), self._path, name, role)
        count = len(self._patterns)
        # Without a known scan any two axes with the right number of values are its rows and columns.
        scan = self._scan_shape or (stored.shape if len(stored.shape) == 2 else None)
        right = [(count,)] + ([scan] if scan and math.prod(scan) == count else [])
        self._check_shape(stored.shape, right, name, role)
        self._check_whole(stored.dtype, name, role)
        return stored[()].astype(np.int64).reshape(-1)

    def mask(self, name: str) -> StoredArray | np.ndarray:
        """The valid pixels: one mask (height, width) for all, bool, or an array with one for each pattern."""
        stored = find(self._handles.file(self._path), self._path, name, "mask")
        self._check_whole(stored.dtype, name, "mask")
        self._check_shape(stored.shape, [self._patterns.image, *self._like_patterns()], name, "mask")
        return stored[()] != 0 if stored.ndim == 2 else StoredArray(self._handles, self._path, name, "mask")

    def expected(self, name: str, index: str | None) -> tuple[StoredArray, np.ndarray]:
        """The noise-free patterns, and for each item (n,) its row among them or -1."""
        stored = StoredArray(self._handles, self._path, name, "expected")
        count = len(self._patterns)
        if index is None:
            self._check_shape(stored.shape, self._like_patterns(), name, "expected")
            return stored, np.arange(count)
        self._check_shape(stored.shape, [(*stored.lead, *self._patterns.image)], name, "expected")
        listed = find(self._handles.file(self._path), self._path, index, "expected_index")
        self._check_shape(listed.shape, [(len(stored),)], index, "expected_index")
        self._check_whole(listed.dtype, index, "expected_index")
        items = listed[()].astype(np.int64)
        if items.min() < 0 or items.max() >= count or len(np.unique(items)) < len(items):
            raise UserError(
                f"expected_index '{index}' does not name different patterns",
                where=str(self._path),
                hint=f"right are numbers from 0 to {count - 1}, none of them twice",
            )
        rows = np.full(count, -1, np.int64)
        rows[items] = np.arange(len(items))
        return stored, rows

    def _like_patterns(self) -> list[tuple[int, ...]]:
        shapes = [self._patterns.shape, (len(self._patterns), *self._patterns.image)]
        if self._scan_shape:
            shapes.append((*self._scan_shape, *self._patterns.image))
        return list(dict.fromkeys(shapes))

    def _check_shape(self, shape: tuple[int, ...], right: Sequence[tuple[int, ...]], name: str, role: str) -> None:
        if shape not in right:
            hint = f"right would be {' or '.join(map(str, right))}"
            raise UserError(f"{role} '{name}' has shape {shape}", where=str(self._path), hint=hint)

    def _check_whole(self, dtype: np.dtype, name: str, role: str) -> None:
        if dtype.kind not in "iub":
            right = "true where a pixel counts" if role == "mask" else "whole numbers"
            raise UserError(f"{role} '{name}' has the type {dtype}", where=str(self._path), hint=f"give {right}")
