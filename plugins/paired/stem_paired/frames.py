"""Tables of typed columns: Parquet files and whatever else pandas holds as a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stem_paired.grid import Cells, Grid, Roles, fault, infinite, name_faults, not_numbers, together
from stem_paired.libraries import imported
from stemcore import UserError


def read_parquet(path: Path) -> Any:
    """The frame in a Parquet file, its first column the names of the rows, as text.

    Raises:
        UserError: if it is damaged, or its first column holds no names.
    """
    pandas = imported("pandas", "reading tables")
    imported("pyarrow", "reading Parquet files")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except Exception as error:  # Each version of the library has errors of its own.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot be read as Parquet ({reason})", where=str(path)) from error
    if frame.index.name is not None or frame.index.dtype.kind not in "iu":
        frame = frame.reset_index()
    if frame.shape[1] == 0:
        raise UserError("is empty", where=str(path))
    first = frame.iloc[:, 0]
    if first.dtype.kind not in "OUSiu" and not pandas.api.types.is_string_dtype(first.dtype.base):
        message = f"its first column, '{frame.columns[0]}', holds {first.dtype} and no names"
        raise UserError(message, where=str(path), hint="the first column is the sample id, as text")
    frame = frame.copy(deep=False)
    frame.isetitem(0, ["" if pandas.isna(name) else str(name).strip() for name in first])
    return frame


def grid_of(path: Path, frame: Any, roles: Roles) -> Grid:
    """The numbers of a frame whose first column names its rows.

    Raises:
        UserError: with everything that is wrong with it.
    """
    rows = tuple(frame.iloc[:, 0])
    columns = tuple(str(name).strip() for name in frame.columns[1:])
    faults = []
    if not columns:
        faults.append(fault(f"has one column, the {roles.row} ids, and no {roles.column}s", str(path)))
    if not rows:
        faults.append(fault(f"has no {roles.row}s", str(path)))
    words = not_numbers()
    values = np.empty((len(rows), len(columns)), np.float32)
    with np.errstate(over="ignore"):  # Infinite, which is looked at below.
        for number, name in enumerate(columns):
            values[:, number] = _numbers(frame.iloc[:, number + 1], rows, name, words)
    return checked(path, Grid(rows, columns, values), roles, [*faults, *words.faults(path)])


def checked(path: Path, grid: Grid, roles: Roles, faults: list[UserError]) -> Grid:
    """The grid, if nothing is wrong with its names and values either.

    Raises:
        UserError: with all faults, those given among them.
    """
    names = {"sample": "sample id", "feature": "feature name"}
    faults = [*faults, *name_faults(path, grid.rows, names[roles.row], "rows", lambda number: number + 1)]
    faults += name_faults(path, grid.columns, names[roles.column], "columns", lambda number: number + 1)
    large = infinite()
    for row, column in np.argwhere(np.isinf(grid.values)).tolist():
        large.add(str(grid.values[row, column]), f"'{grid.rows[row]}'", grid.columns[column])
    faults += large.faults(path)
    if faults:
        raise together(faults)
    return grid


def _numbers(column: Any, rows: tuple[str, ...], name: str, words: Cells) -> np.ndarray:
    """A column as numbers, NaN where there are none; those that are text are counted."""
    pandas = imported("pandas", "reading tables")
    if column.dtype.kind in "iuf" and not pandas.api.types.is_bool_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    texts = column.astype(object)
    numbers = pandas.to_numeric(texts, errors="coerce")
    is_word = (numbers.isna() & texts.notna()) | texts.map(lambda cell: isinstance(cell, bool))
    for number in np.flatnonzero(is_word.to_numpy(bool)):
        words.add(str(texts.iloc[number]), f"'{rows[number]}'", name)
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
