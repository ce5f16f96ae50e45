"""Where the rows of a result lie over the scan and in the chunks of a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK_BYTES = 2 << 20


@dataclass(frozen=True)
class Layout:
    """Chunks along the lines of a scan: a stretch of one line, or several whole lines where they are short.

    Attributes:
        lead: shape of the scan, or the number of items alone.
        lines, columns: scan positions of a chunk along the last axis but one and along the last.
    """

    lead: tuple[int, ...]
    lines: int
    columns: int

    @staticmethod
    def of(items: int, row: tuple[int, ...], scan_shape: tuple[int, ...] | None, item_bytes: int) -> Layout:
        """The layout of ``items`` rows of shape ``row``, each value of ``item_bytes``.

        A chunk has up to 2 MB: small enough for the caches of HDF5 and of processors, large enough for disks. It holds
        whole rows, so one row of more than that is a chunk. The stretches of a line are as equal as can be.

        Args:
            items: number of rows.
            row: shape of a row.
            scan_shape: the scan's; taken if its product is ``items``.
            item_bytes: bytes of a value.
        """
        fits = scan_shape is not None and math.prod(scan_shape) == items
        lead = scan_shape if fits and scan_shape is not None else (items,)
        most = max(1, CHUNK_BYTES // max(1, item_bytes * math.prod(row)))
        line = lead[-1]
        columns = -(-line // -(-line // most))
        lines = min(lead[-2], most // line) if len(lead) > 1 and columns == line else 1
        return Layout(lead, max(1, lines), columns)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Scan positions of a chunk along each leading axis."""
        return (self.columns,) if len(self.lead) == 1 else (*[1] * (len(self.lead) - 2), self.lines, self.columns)

    @property
    def slots(self) -> int:
        """Rows of a chunk."""
        return self.lines * self.columns

    @property
    def _grid(self) -> tuple[int, int, int, int]:
        """Lines in a plane, chunks along a plane's lines and along a line, and positions of a line."""
        line, high = self.lead[-1], self.lead[-2] if len(self.lead) > 1 else 1
        return high, -(-high // self.lines), -(-line // self.columns), line

    def place(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of the chunk of each item, and the row in it."""
        high, down, across, line = self._grid
        number, column = np.divmod(items, line)
        plane, number = np.divmod(number, high)
        keys = (plane * down + number // self.lines) * across + column // self.columns
        # Chunks at the far edge are filled without gaps, so that their rows can be handed on as they are.
        width = np.minimum(self.columns, line - column // self.columns * self.columns)
        return keys, number % self.lines * width + column % self.columns

    def _corner(self, key: int) -> tuple[int, int, int, int, int]:
        """Plane, first line, first column, lines and columns of a chunk."""
        high, down, across, line = self._grid
        rest, chunk = divmod(key, across)
        plane, block = divmod(rest, down)
        top, left = block * self.lines, chunk * self.columns
        return plane, top, left, min(self.lines, high - top), min(self.columns, line - left)

    def count(self, key: int) -> int:
        """Rows that a chunk will have."""
        *_, tall, wide = self._corner(key)
        return tall * wide

    def used(self, key: int) -> slice:
        """The rows of a chunk that lie within the scan."""
        return slice(0, self.count(key))

    def region(self, key: int) -> tuple[slice, ...]:
        """Where a chunk lies in the scan."""
        plane, top, left, tall, wide = self._corner(key)
        return self._region(plane, slice(top, top + tall), slice(left, left + wide))

    def stretches(self, key: int, there: np.ndarray) -> Iterator[tuple[tuple[slice, ...], slice]]:
        """Where each stretch of a line that is there lies in the scan, and in the chunk.

        Args:
            key: the chunk.
            there: (slots,) which of its rows.
        """
        plane, top, left, tall, wide = self._corner(key)
        for line in range(tall):
            here = np.flatnonzero(np.diff(there[line * wide : (line + 1) * wide], prepend=False, append=False))
            for first, last in here.reshape(-1, 2).tolist():
                across = slice(left + first, left + last)
                place = self._region(plane, slice(top + line, top + line + 1), across)
                yield place, slice(line * wide + first, line * wide + last)

    def _region(self, plane: int, lines: slice, columns: slice) -> tuple[slice, ...]:
        if len(self.lead) == 1:
            return (columns,)
        outer = np.unravel_index(plane, self.lead[:-2]) if len(self.lead) > 2 else ()
        return (*(slice(int(i), int(i) + 1) for i in outer), lines, columns)
