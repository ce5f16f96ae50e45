"""Virtual datasets read where their patterns are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stem_datasets.handles import Handles
from stem_datasets.tiles import Grid, tile_of
from stem_datasets.virtual import Segment


class Source(Protocol):
    """Rows of a stored array."""

    chunk: Grid | None

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads ``rows`` (ascending, none twice) into ``out`` (len(rows), height, width)."""


class Linked:
    """Rows of a virtual dataset, each read from the file that holds it.

    Args:
        handles: whose lock guards the sources.
        segments: where the rows are.
        open_source: opens a dataset of a file.
        fill: the value of rows that no file holds.
    """

    def __init__(
        self, handles: Handles, segments: Sequence[Segment], open_source: Callable[[Path, str], Source], fill: Any
    ) -> None:
        self._handles, self._segments, self._open, self._fill = handles, list(segments), open_source, fill
        self._starts = np.array([segment.start for segment in segments])
        self._sources: dict[tuple[Path, str], Source] = {}

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Reads ``rows`` (ascending, none twice) into ``out`` (len(rows), height, width)."""
        which = np.searchsorted(self._starts, rows, side="right") - 1
        cuts = [0, *(np.flatnonzero(np.diff(which)) + 1).tolist(), len(rows)]
        for first, last in pairwise(cuts):
            segment = self._segments[int(which[first])]
            if segment.path is None:
                out[first:last] = self._fill
            else:
                source = self._source(segment.path, segment.name)
                source.read(rows[first:last] - segment.start + segment.source_start, out[first:last])

    def blocks(self, item_bytes: int) -> list[np.ndarray]:
        """Rows that are cheap to read together: those of the same chunks of the same file, as far as the chunks of all
        files are as long as those of the first."""
        first = next((s for s in self._segments if s.path is not None), None)
        chunk = None if first is None else self._source(first.path, first.name).chunk  # type: ignore[arg-type]
        length = 1 if chunk is None or len(chunk) > 1 else chunk[0]
        total = self._segments[-1].start + self._segments[-1].count
        (tile,) = tile_of((total,), (length,), item_bytes)
        found: list[np.ndarray] = []
        for segment in self._segments:
            rows = np.arange(segment.start, segment.start + segment.count)
            head = -segment.source_start % tile
            cuts = [head, *range(head + tile, segment.count, tile)] if head < segment.count else []
            found += [part for part in np.split(rows, cuts) if len(part)]
        return _joined(found, tile)

    def _source(self, path: Path, name: str) -> Source:
        with self._handles.lock:
            if (path, name) not in self._sources:
                self._sources[path, name] = self._open(path, name)
            return self._sources[path, name]


def _joined(blocks: list[np.ndarray], most: int) -> list[np.ndarray]:
    """Short neighbours put together: a file for each scan row, or for each pattern, makes many."""
    joined: list[list[np.ndarray]] = []
    held = most
    for block in blocks:
        if held + len(block) > most:
            joined.append([])
            held = 0
        joined[-1].append(block)
        held += len(block)
    return [np.concatenate(group) for group in joined]
