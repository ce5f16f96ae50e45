"""Virtual HDF5 datasets resolved to where their patterns are stored, to be decoded there and by several threads.

HDF5 reads a virtual dataset under its one lock, and takes a source that it cannot find for fill values.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from stem_datasets.handles import Handles
from stem_datasets.lookup import find
from stem_datasets.selections import Selection
from stem_datasets.source_files import is_numbered, source_file
from stemcore import UserError

DEEPEST = 4
"""Virtual datasets over virtual datasets that are followed; one that is a source of itself would have no end."""


@dataclass(frozen=True)
class Segment:
    """Items [start, start + count) of a virtual dataset, counted row by row over its leading axes.

    Attributes:
        start: its first item.
        count: its number of items, at least 1.
        path: the file that holds them; ``None`` where no source is mapped and all items are the virtual dataset's
            ``fillvalue``.
        name: the dataset in that file, empty without a file. It is not virtual, and has the image shape and the type
            of the virtual dataset.
        source_start: the first item within that dataset, counted row by row over its leading axes.
    """

    start: int
    count: int
    path: Path | None
    name: str
    source_start: int


def segments(dataset: h5py.Dataset) -> list[Segment] | None:
    """Where the items of a virtual dataset are stored: ascending, without overlap, covering all of them.

    Args:
        dataset: (items, height, width) or with more leading axes, in an open file.

    Returns:
        ``None`` if the dataset is not virtual, or a mapping is anything else than a run of whole images, one after the
        other in both datasets: strided, cropped or transposed ones, single points, selections or ``%b`` sources that
        grow, a source of another type or image shape or without an axis that counts, two mappings of the same item,
        and virtual sources more than four deep.

    Raises:
        UserError: if a source is missing, damaged, or holds fewer images than are mapped. HDF5 reads those as fill
            values or as whatever follows in the file, without a word.
    """
    handles = Handles()
    try:
        return _Resolver(handles).segments(dataset, DEEPEST)
    finally:
        handles.close()


class _Mapping(NamedTuple):
    """Where a virtual dataset takes what from."""

    to: Selection
    file: str
    name: str
    taken: Selection


@dataclass(frozen=True)
class _Source:
    """What counts of a source: its shape and type, and its own segments and fill value where it is virtual."""

    shape: tuple[int, ...]
    dtype: np.dtype
    virtual: bool
    segments: Sequence[Segment] | None
    fill: object

    def within(self, whole: Segment, fill: object) -> list[Segment] | None:
        """What a mapping takes from it, resolved to where that is stored; ``fill`` is the value of gaps."""
        if not self.virtual:
            return [whole]
        if self.segments is None:
            return None
        parts = list(_cut(self.segments, whole))
        return None if self.fill != fill and any(part.path is None for part in parts) else parts


class _Resolver:
    """Looks every source up once, as thousands of mappings may lead to one."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._sources: dict[tuple[Path, str], _Source] = {}

    def segments(self, dataset: h5py.Dataset, depth: int) -> list[Segment] | None:
        if depth == 0 or not dataset.is_virtual or dataset.ndim < 3:
            return None
        # Taken before the first source is opened: that may close this dataset's file.
        file, name, fill = Path(dataset.file.filename), dataset.name, dataset.fillvalue
        shape, dtype, mappings = dataset.shape, dataset.dtype, _mappings(dataset)
        if mappings is None:
            return None
        paths = {source: _present(file, name, source) for source in {mapping.file: None for mapping in mappings}}
        found: list[Segment] = []
        for mapping in mappings:
            path = paths[mapping.file]
            source = self._source(path, mapping.name, depth)
            if source.dtype != dtype or len(source.shape) < 3 or source.shape[-2:] != shape[-2:]:
                return None
            to, taken = mapping.to.run(shape), mapping.taken.run(source.shape)
            if to is None or taken is None or to[1] != taken[1]:
                return None
            _check_length(source, taken, path, mapping.name)
            parts = source.within(Segment(*to, path, mapping.name, taken[0]), fill)
            if parts is None:
                return None
            found += parts
        return _joined(found, math.prod(shape[:-2]))

    def _source(self, path: Path, name: str, depth: int) -> _Source:
        if (path, name) not in self._sources:
            dataset = find(self._handles.file(path), path, name, "source")
            shape, dtype, virtual, fill = dataset.shape, dataset.dtype, dataset.is_virtual, dataset.fillvalue
            inner = self.segments(dataset, depth - 1) if virtual else None
            self._sources[path, name] = _Source(shape, dtype, virtual, inner, fill)
        return self._sources[path, name]


def _mappings(dataset: h5py.Dataset) -> list[_Mapping] | None:
    """The mappings as plain values; ``None`` if one is of no kind that is resolved."""
    # Each open dataspace slows down the closing of every file: with 10,000 mappings 20 ms instead of 0.2.
    found = []
    for place, file, name, given in dataset.virtual_sources():
        to, taken = Selection.of(place), Selection.of(given)
        if to is None or taken is None or is_numbered(file) or is_numbered(name):
            return None
        found.append(_Mapping(to, file, name.replace("%%", "%"), taken))
    return found


def _present(file: Path, name: str, source: str) -> Path:
    if (path := source_file(file, source)) is None:
        problem = f"dataset '{name.lstrip('/')}' is virtual and its source {source} is missing"
        raise UserError(problem, where=str(file), hint=f"put it into {file.parent}")
    return path


def _check_length(source: _Source, taken: tuple[int, int], path: Path, name: str) -> None:
    held, needed = math.prod(source.shape[:-2]), sum(taken)
    if needed > held:
        raise UserError(
            f"source '{name}' of a virtual dataset holds {held:,} patterns, of which it takes {needed:,}",
            where=str(path),
            hint="copy it again, or make the virtual dataset anew",
        )


def _cut(inner: Sequence[Segment], whole: Segment) -> Iterator[Segment]:
    """The segments of a virtual source that a mapping takes from it, as segments of the dataset that takes them."""
    low, high = whole.source_start, whole.source_start + whole.count
    for part in islice(inner, bisect_right(inner, low, key=attrgetter("start")) - 1, None):
        if part.start >= high:
            return
        first, end = max(part.start, low), min(part.start + part.count, high)
        skipped = first - part.start if part.path else 0
        start = whole.start + first - low
        yield replace(part, start=start, count=end - first, source_start=part.source_start + skipped)


def _joined(found: list[Segment], total: int) -> list[Segment] | None:
    """In order, neighbours put together, gaps filled; ``None`` if some overlap."""
    joined: list[Segment] = []
    end = 0
    for part in sorted(found, key=lambda part: part.start):
        if part.start < end:
            return None
        if part.start > end:
            _append(joined, Segment(end, part.start - end, None, "", 0))
        _append(joined, part)
        end = part.start + part.count
    if end < total:
        _append(joined, Segment(end, total - end, None, "", 0))
    return joined


def _append(joined: list[Segment], part: Segment) -> None:
    last = joined[-1] if joined else None
    follows = last and (part.path is None or last.source_start + last.count == part.source_start)
    if last and follows and (last.path, last.name) == (part.path, part.name):
        joined[-1] = replace(last, count=last.count + part.count)
    else:
        joined.append(part)
