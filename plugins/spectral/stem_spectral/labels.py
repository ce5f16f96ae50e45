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
            largest = _largest(files, entries, self._ignored)
            own = None if self.classes else names  # A table's labels come first: the recipe names one kind of classes.
            self.map_classes = tuple(own or self._stored_names(entries) or self._numbered(max(largest)))
            self._check(entries, largest)

    def map_codes(self, stored: np.ndarray) -> np.ndarray:
        """A label map as numbers of classes, int64: negative for the ignored value; values above it count one less."""
        codes = stored.astype(np.int64)
        if self._ignored is not None:
            codes = np.where(stored == self._ignored, NONE, codes - (codes > self._ignored))
        codes[codes < 0] = NONE
        return codes

    def _stored_names(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        names = entries[0].cube.classes
        return tuple(name for value, name in enumerate(names) if value != self._ignored)

    def _numbered(self, largest: int) -> tuple[str, ...]:
        """Names for classes of which only the numbers are known."""
        return tuple(str(value) for value in range(largest + 1) if value != self._ignored)

    def _check(self, entries: Sequence[Entry], largest: Sequence[int]) -> None:
        """Raises ``UserError`` for the cubes whose maps have a label without a name: it is not to pass for none."""
        hint = f"the classes are {', '.join(self.map_classes)}"
        if self._ignored is not None:
            hint += f"; values above ignore_label, {self._ignored}, count one less"
        faults = [
            UserError(f"its label_map has the value {value}, which no class stands for", where=e.row.where, hint=hint)
            for e, value in zip(entries, largest, strict=True)
            if value - (self._ignored is not None and value > self._ignored) >= len(self.map_classes)
        ]
        if faults:
            raise together(faults)


def _largest(files: OpenFiles, entries: Sequence[Entry], ignored: int | None) -> list[int]:
    """The largest value of each map that is not the ignored one, -1 where there is none."""
    windows = Windows(files, np.arange(1))
    maps = (windows.labels(entry.cube, (EVERYTHING, EVERYTHING)) for entry in entries)
    return [int(found[found != ignored].max(initial=0)) if (found != ignored).any() else NONE for found in maps]


def _sorted(texts: set[str]) -> list[str]:
    """By value where all are whole numbers, else as text."""
    numbers = all(text.removeprefix("-").isdecimal() for text in texts)
    return sorted(texts, key=int) if numbers else sorted(texts)
