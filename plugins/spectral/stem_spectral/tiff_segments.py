"""Windows of compressed TIFF images, of which only the strips and tiles that they touch are decoded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

KEPT = 1 << 28
"""Bytes of decoded segments that are kept: neighbouring windows share some, and a strip may be a whole band."""


class Segments:
    """A series of a TIFF file as an array with three axes, one of them the bands.

    Args:
        file: the open file.
        series: the series.
        axes: its axes, one b, h and w.

    Attributes:
        held: bytes that are kept.
    """

    def __init__(self, file: Any, series: Any, axes: str) -> None:
        self.shape: tuple[int, ...] = tuple(series.shape)
        self.dtype = np.dtype(series.dtype)
        self._handle, self._pages, self._axes = file.filehandle, list(series.pages), axes
        self._kept: OrderedDict[tuple[int, int], tuple[np.ndarray, tuple[int, int, int]]] = OrderedDict()
        self.held = 0

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        spans = {axis: range(n)[part] for axis, n, part in zip(self._axes, self.shape, index, strict=True)}
        bands, rows, columns = (spans[axis] for axis in "bhw")
        out = np.zeros((len(bands), len(rows), len(columns)), self.dtype)
        for number, page in self._touched(bands):
            for segment in _meeting(page, bands if len(self._pages) == 1 else None, rows, columns):
                self._paste(number, segment, bands, (rows, columns), out)
        return out.transpose(["bhw".index(axis) for axis in self._axes])

    def _touched(self, bands: range) -> list[tuple[int, Any]]:
        """The pages with any of the bands: one holds all of them, or each has one."""
        if len(self._pages) == 1:
            return [(0, self._pages[0])]
        return [(number, self._pages[number]) for number in bands]

    def _paste(self, number: int, segment: int, bands: range, plane: tuple[range, range], out: np.ndarray) -> None:
        values, start = self._decoded(number, segment)
        places, parts = [], []
        for wanted, first, length in zip((bands, *plane), start, values.shape, strict=True):
            both = range(max(wanted.start, first), min(wanted.stop, first + length))
            found = [k for k in both if k in wanted] if wanted.step > 1 else both
            places.append(np.array([wanted.index(k) for k in found], int))
            parts.append(np.array(found, int) - first)
        out[np.ix_(*places)] = values[np.ix_(*parts)]

    def _decoded(self, number: int, segment: int) -> tuple[np.ndarray, tuple[int, int, int]]:
        """A segment (bands, height, width) and where it begins."""
        key = (number, segment)
        if key not in self._kept:
            page = self._pages[number]
            offset, count = page.dataoffsets[segment], page.databytecounts[segment]
            data = None
            if count:
                self._handle.seek(offset)
                data = self._handle.read(count)
            decoded, (sample, _, row, column, _), shape = page.keyframe.decode(
                data, segment, jpegtables=page.jpegtables
            )
            height, width, samples = shape[1:]
            if decoded is None:  # Left out by the writer: nothing but the value without data.
                decoded = np.full((1, height, width, samples), page.nodata, self.dtype)
            values = np.moveaxis(decoded[0, :height, :width], -1, 0)
            first = number if len(self._pages) > 1 else sample
            self._kept[key] = values, (first, row, column)
            self.held += values.nbytes
            while self.held > KEPT and len(self._kept) > 1:
                self.held -= self._kept.popitem(last=False)[1][0].nbytes
        self._kept.move_to_end(key)
        return self._kept[key]


def _meeting(page: Any, bands: range | None, rows: range, columns: range) -> list[int]:
    """The numbers of a page's segments that touch a window; ``bands`` of a page that holds all of them."""
    frame = page.keyframe
    high, wide = (frame.tilelength, frame.tilewidth) if frame.is_tiled else (frame.rowsperstrip, frame.imagewidth)
    down, across = -(-frame.imagelength // high), -(-frame.imagewidth // wide)
    separate = frame.planarconfig == 2 and frame.samplesperpixel > 1
    planes = bands if separate and bands is not None else (0,)
    return [
        (plane * down + row) * across + column
        for plane in planes
        for row in range(rows.start // high, (rows.stop - 1) // high + 1)
        for column in range(columns.start // wide, (columns.stop - 1) // wide + 1)
    ]
