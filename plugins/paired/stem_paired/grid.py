"""A table as it lies in a file: named rows, named columns, numbers; and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stemcore import UserError

SHOWN = 3


def fault(message: str, where: str, hint: str = "") -> UserError:
    """One thing that is wrong, to be raised together with others."""
    return UserError(message, where=where, hint=hint)


def together(faults: Iterable[UserError]) -> UserError:
    """All that is wrong, as one error."""
    return UserError(*(problem for one in faults for problem in one.problems))


@dataclass(frozen=True)
class Roles:
    """What rows and columns stand for."""

    row: str = "sample"
    column: str = "feature"

    def turned(self) -> Roles:
        """Those of the transposed table."""
        return Roles(self.column, self.row)


@dataclass(frozen=True)
class Grid:
    """Numbers in rows and columns.

    Attributes:
        rows, columns: their names.
        values: (rows, columns) float32, NaN where a value is missing.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray


@dataclass
class Cells:
    """Cells that are wrong in one way: how many, and the first of them."""

    what: str
    hint: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, text: str, row: str, column: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(f"'{text}' in row {row}, column '{column}'")

    def faults(self, path: Path) -> list[UserError]:
        """In one line, if there are any."""
        if not self.count:
            return []
        cells = "1 cell is" if self.count == 1 else f"{self.count:,} cells are"
        return [fault(f"{cells} {self.what}: {listed(self.first, self.count, '; ')}", str(path), self.hint)]


def not_numbers() -> Cells:
    """For cells that hold text."""
    return Cells("not numbers", "write a number, or leave a cell empty where the value is missing")


def infinite() -> Cells:
    """For cells that float32 cannot hold."""
    return Cells("infinite or too large for float32", "leave a cell empty where the value is missing")


def listed(names: Iterable[str], count: int | None = None, between: str = ", ") -> str:
    """The first few names, and how many there are besides."""
    names = list(names)
    count = len(names) if count is None else count
    more = count - min(len(names), SHOWN)
    return between.join(names[:SHOWN]) + (f"{between}and {more:,} more" if more else "")


def name_faults(
    path: Path, names: Sequence[str], what: str, places: str, place: Callable[[int], int]
) -> list[UserError]:
    """Names of rows or columns that are empty or there several times.

    Args:
        path: of the file.
        names: of the rows or the columns.
        what: the names are, such as "sample id".
        places: what places are counted in, such as "lines".
        place: of a name by its number.
    """
    where: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        where.setdefault(name, []).append(place(number))
    faults = []
    if empty := where.pop("", None):
        counted = listed(map(str, empty))
        faults.append(fault(f"a {what} is empty ({places} {counted})", str(path), f"give each its {what}"))
    if twice := {name: found for name, found in where.items() if len(found) > 1}:
        shown = listed(f"'{name}' ({places} {listed(map(str, found))})" for name, found in twice.items())
        faults.append(fault(f"a {what} is there several times: {shown}", str(path), "keep one of each"))
    return faults
