"""Tables of text: comma- and tab-separated values, also compressed.

pandas parses them. Where it stumbles, or finds what no table should hold, the file is read again cell by cell, so that
what is wrong can be named by line and column.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from stem_paired.grid import Grid, Roles, fault, infinite, listed, name_faults, not_numbers, together
from stem_paired.libraries import imported
from stemcore import UserError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What stands for a missing value; pandas' own list, written out, so that it is the same with every version."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INFINITE = re.compile(r"[+-]?(inf|infinity)", re.IGNORECASE)
MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Lines:
    """A table as text.

    Attributes:
        header: the first row, the name of the first column among it.
        rows: (line, cells) of every other row that is not blank.
    """

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]


def delimiter_of(path: Path) -> str | None:
    """What separates the cells, by the file's ending; ``None`` where the ending is none of a table of text."""
    name = path.name.lower().removesuffix(".gz")
    return DELIMITERS.get(Path(name).suffix)


def read_grid(path: Path, roles: Roles) -> Grid:
    """The numbers of a table of text whose first row and first column are names.

    Raises:
        UserError: with everything that is wrong with it.
    """
    delimiter = delimiter_of(path) or ","
    with opened(path, delimiter) as lines:
        header = lines.header
        first = next(lines.rows, None)
    faults = header_faults(path, header, roles)
    if first is None:
        raise together([*faults, fault(f"has no {roles.row}s: there is a header alone", str(path))])
    grid = None if faults or len(first[1]) != len(header) else _parsed(path, header, first[1], delimiter)
    if grid is None:
        grid, found = _cell_by_cell(path, delimiter, roles)
        faults += found
    if faults:
        raise together(faults)
    assert grid is not None
    return grid


def header_faults(path: Path, header: list[str], roles: Roles) -> list[UserError]:
    """What is wrong with the first row. Raises ``UserError`` where it has one cell only."""
    if len(header) == 1:
        used = [sign for sign in NAMES if sign in header[0]]
        if not used:
            raise UserError(
                f"has one column, the {roles.row} ids, and no {roles.column}s", where=str(path), hint="check its header"
            )
        mine = NAMES[delimiter_of(path) or ","]
        hint = "name it .tsv" if used[0] == "\t" else "name it .csv" if used[0] == "," else "save it with tabs as .tsv"
        raise UserError(f"is separated by {NAMES[used[0]]}, not by {mine}", where=str(path), hint=hint)
    what = "feature name" if roles.column == "feature" else f"{roles.column} id"
    return name_faults(path, header[1:], what, "columns", lambda number: number + 2)


@contextmanager
def opened(path: Path, delimiter: str) -> Iterator[Lines]:
    """The rows of a table of text; they can be read while the context lasts.

    Raises:
        UserError: also within the context, for a file that is empty or not text.
    """
    try:
        with _text(path) as file:
            reader = csv.reader(file, delimiter=delimiter)
            rows = ((reader.line_num, cells) for cells in reader if cells)
            header = next(rows, None)
            if header is None:
                raise UserError("is empty", where=str(path), hint="a table has a header and a row for each sample")
            yield Lines([cell.strip() for cell in header[1]], rows)
    except UnicodeError as error:
        raise _no_text(path, "not UTF-8") from error
    except (csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _no_text(path, str(error)) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _text(path: Path) -> IO[str]:
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        start = file.read(1 << 16)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _no_text(path, "UTF-16")
    if b"\0" in start:
        raise _no_text(path, "binary")
    text: IO[str] = opener(path, "rt", encoding="utf-8-sig", newline="")
    return text


def _no_text(path: Path, why: str) -> UserError:
    return UserError(f"is no table of text ({why})", where=str(path), hint="save it as CSV or TSV in UTF-8")


def _parsed(path: Path, header: list[str], first: list[str], delimiter: str) -> Grid | None:
    """The whole table at once; ``None`` where something about it has to be looked at."""
    pandas = imported("pandas", "reading tables")
    try:
        with np.errstate(over="ignore"):  # Infinite, which is looked at below.
            frame = pandas.read_csv(
                path,
                sep=delimiter,
                header=None,
                skiprows=1,
                encoding="utf-8-sig",
                converters={0: str.strip},
                dtype=dict.fromkeys(range(1, len(header)), np.float32),
                na_values=sorted(MISSING),
                keep_default_na=False,
                float_precision="round_trip",
                low_memory=False,
            )
    except (ValueError, OverflowError):  # Errors of the parser and of the encoding are of this kind.
        return None
    if frame.shape[1] != len(header):
        return None
    names = tuple(frame[0])
    values = np.ascontiguousarray(frame.iloc[:, 1:].to_numpy(dtype=np.float32))
    strange = len(set(names)) < len(names) or "" in names or np.isinf(values).any()
    # Columns of nothing but True and False are read as ones and zeros.
    truths = np.flatnonzero((np.isnan(values) | (values == 0) | (values == 1)).all(axis=0)).tolist()
    strange = strange or not all(NUMBER.fullmatch(first[column + 1].strip()) for column in truths)
    # Rows that end early are filled up in silence: then their last cell is missing.
    if strange or (np.isnan(values[:, -1]).any() and not _even(path, delimiter, len(header))):
        return None
    return Grid(names, tuple(header[1:]), values)


def _even(path: Path, delimiter: str, width: int) -> bool:
    with opened(path, delimiter) as lines:
        return all(len(cells) == width for _, cells in lines.rows)


def _cell_by_cell(path: Path, delimiter: str, roles: Roles) -> tuple[Grid, list[UserError]]:
    """The table, and all that is wrong with its rows."""
    names, at, rows, ragged = [], [], [], []
    words, large = not_numbers(), infinite()
    with opened(path, delimiter) as lines:
        header = lines.header
        for line, cells in lines.rows:
            names.append(cells[0].strip())
            at.append(line)
            if len(cells) != len(header):
                ragged.append((line, len(cells)))
                continue
            row = np.empty(len(header) - 1, np.float32)
            for number, cell in enumerate(cells[1:]):
                text = cell.strip()
                value = number_of(text)
                if value is None or math.isinf(value):
                    kind = words if value is None else large
                    kind.add(text, f"'{names[-1]}' (line {line})", header[number + 1])
                    value = math.nan
                row[number] = value
            rows.append(row)
    faults = _ragged(path, header, ragged, len(names))
    what = "sample id" if roles.row == "sample" else "feature name"
    faults += name_faults(path, names, what, "lines", at.__getitem__)
    faults += words.faults(path) + large.faults(path)
    values = np.stack(rows) if rows else np.empty((0, len(header) - 1), np.float32)
    return Grid(tuple(names), tuple(header[1:]), values), faults


def number_of(text: str) -> float | None:
    """The number in a cell, NaN where it is missing, infinity for what float32 cannot hold; ``None`` for text."""
    if text in MISSING or text.lower().lstrip("+-") == "nan":
        return math.nan
    if NUMBER.fullmatch(text):
        value = float(text)
        return value if abs(value) <= MOST else math.inf
    return math.inf if INFINITE.fullmatch(text) else None


def _ragged(path: Path, header: list[str], ragged: list[tuple[int, int]], rows: int) -> list[UserError]:
    if not ragged:
        return []
    if len(ragged) == rows and {width for _, width in ragged} == {len(header) + 1}:
        message = "its header has one name less than its rows have cells"
        return [fault(message, f"{path}:1", "name the first column too, such as sample_id")]
    line, width = ragged[0]
    others = f"; so are {listed((f'line {other}' for other, _ in ragged[1:]))}" if len(ragged) > 1 else ""
    message = f"has {width} cells, the header has {len(header)}{others}"
    return [fault(message, f"{path}:{line}", "give every row as many cells as the header")]
