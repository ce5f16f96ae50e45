"""The labels of cubes and of their places, as numbers and names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stem_spectral.collection import Entry
from stem_spectral.cube import together
from stem_spectral.open_files import OpenFiles
from stem_spectral.windows import Windows
from stemcore import UserError

NONE = -1
EVERYTHING = slice(None)


class Labels:
    """What the labels of a data set are called.

    Args:
        files: opens the files.
        entries: the cubes.
        ignored: value of a label map for places without a label.
        names: names of the classes, where the recipe gives them.

    Attributes:
        classes: of the cubes' labels; empty where they have none.
        codes: (cubes,) int64, negative for a cube without one.
        map_classes: of the label maps; empty where there are none.

    Raises:
        UserError: for a label that is not among the names.
    """

    def __init__(
        self, files: OpenFiles, entries: Sequence[Entry], ignored: int | None, names: Sequence[str] | None
    ) -> None:
        self._ignored = ignored
        said = [entry.row.label for entry in entries]
        self.classes: tuple[str, ...] = tuple(names or _sorted({s for s in said if s})) if any(said) else ()
        unknown = [e for e in entries if e.row.label and e.row.label not in self.classes]
        if unknown:
            hint = f"classes has {', '.join(self.classes)}"
            raise together(
                [UserError(f"label '{e.row.label}' is not known", where=e.row.where, hint=hint) for e in unknown]
            )
        place = {name: code for code, name in enumerate(self.classes)}
        self.codes = np.array([place.get(s or "", NONE) for s in said], np.int64)
        self.map_classes: tuple[str, ...] = ()
        if entries[0].cube.label_map:
            self.map_classes = tuple(names or self._stored_names(entries) or self._numbered(files, entries))

    def map_codes(self, stored: np.ndarray) -> np.ndarray:
        """A label map as numbers of classes, int64: negative for the ignored value and below; above it one less."""
        codes = stored.astype(np.int64)
        if self._ignored is not None:
            codes = np.where(stored == self._ignored, NONE, codes - (codes > self._ignored))
        codes[(codes < 0) | (codes >= len(self.map_classes))] = NONE
        return codes

    def _stored_names(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        names = entries[0].cube.classes
        return tuple(name for value, name in enumerate(names) if value != self._ignored)

    def _numbered(self, files: OpenFiles, entries: Sequence[Entry]) -> tuple[str, ...]:
        """Names for classes of which only the numbers are known: all maps are looked through for the largest."""
        windows = Windows(files, np.arange(1))
        most = max(int(windows.labels(entry.cube, (EVERYTHING, EVERYTHING)).max()) for entry in entries)
        return tuple(str(value) for value in range(most + 1) if value != self._ignored)


def _sorted(texts: set[str]) -> list[str]:
    """By value where all are whole numbers, else as text."""
    numbers = all(text.removeprefix("-").isdecimal() for text in texts)
    return sorted(texts, key=int) if numbers else sorted(texts)
