"""Tables of samples and features: read from the formats that are usual, written so that they read back the same."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stem_paired.delimited import read_grid
from stem_paired.frames import grid_of, read_parquet
from stem_paired.grid import Roles
from stem_paired.libraries import imported
from stemcore import UserError, missing_file, write_atomically

READ = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".h5ad")
WRITTEN = (".csv", ".tsv", ".parquet")
ID, FEATURE = "sample_id", "feature"
"""Names of the first column."""


@dataclass(frozen=True)
class Table:
    """Measurements of one platform.

    Attributes:
        ids: of the samples, always text.
        features: their names.
        values: (samples, features) float32, contiguous; NaN where a value is missing.
    """

    ids: tuple[str, ...]
    features: tuple[str, ...]
    values: np.ndarray


def read_table(path: Path, *, transpose: bool = False) -> Table:
    """A table whose first column is the sample id, or, transposed, whose first row is.

    Args:
        path: the file; its ending tells the format, see ``READ``.
        transpose: whether features are in rows and samples in columns.

    Raises:
        UserError: with everything that is wrong with it.
    """
    check_file(path, READ)
    roles = Roles().turned() if transpose else Roles()
    if path.suffix == ".h5ad":
        from stem_paired.anndata_files import read_h5ad

        return read_h5ad(path)[0]
    grid = grid_of(path, read_parquet(path), roles) if path.suffix == ".parquet" else read_grid(path, roles)
    if transpose:
        return Table(grid.columns, grid.rows, np.ascontiguousarray(grid.values.T))
    return Table(grid.rows, grid.columns, grid.values)


def write_table(path: Path, ids: Sequence[str], features: Sequence[str], values: np.ndarray, first: str = ID) -> None:
    """Writes a table of samples and features so that :func:`read_table` gives the same values, bit for bit: each number
    with as few digits as tell it from every other float32, a missing one as nothing. The file is whole or not there.

    Args:
        path: the file; .csv, .tsv or .parquet.
        ids: of the samples.
        features: their names.
        values: (samples, features), stored as float32.
        first: name of the first column.

    Raises:
        UserError: if the ending is none of these, or the file cannot be written.
    """
    check_output(path)
    numbers = np.ascontiguousarray(values, dtype=np.float32)
    try:
        if path.suffix == ".parquet":
            write_atomically(path, lambda part: _write_parquet(part, ids, [first, *features], numbers))
        else:
            delimiter = DELIMITER[path.suffix]
            write_atomically(path, lambda part: _write_text(part, delimiter, ids, [first, *features], numbers))
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


DELIMITER = {".csv": ",", ".tsv": "\t"}


def _write_text(part: Path, delimiter: str, ids: Sequence[str], header: list[str], values: np.ndarray) -> None:
    writer = imported("pyarrow.csv", "writing tables")
    plain = not any(sign in name for name in ids for sign in (delimiter, '"', "\n", "\r"))
    style = "none" if plain else "needed"  # The latter puts quotes around all names.
    options = writer.WriteOptions(include_header=False, delimiter=delimiter, quoting_style=style)
    with part.open("wb") as file:
        names = io.StringIO()
        csv.writer(names, delimiter=delimiter, lineterminator="\n").writerow(header)
        file.write(names.getvalue().encode())
        writer.write_csv(_arrow_table(ids, header, values), file, options)


def _write_parquet(part: Path, ids: Sequence[str], header: list[str], values: np.ndarray) -> None:
    imported("pyarrow.parquet", "writing Parquet files").write_table(_arrow_table(ids, header, values), part)


def _arrow_table(ids: Sequence[str], header: list[str], values: np.ndarray) -> Any:
    """Columns of which NaN is missing."""
    arrow = imported("pyarrow", "writing tables")
    columns = [arrow.array(list(ids), arrow.string()), *(arrow.array(column, from_pandas=True) for column in values.T)]
    return arrow.table(columns, names=header)


def check_output(path: Path) -> None:
    """Raises ``UserError`` unless a table can be written at ``path``."""
    if path.suffix not in WRITTEN:
        raise UserError("is no kind of table that is written", where=str(path), hint=f"end it in {_or(WRITTEN)}")
    if path.is_dir():
        raise UserError("is a directory", where=str(path), hint="name a file")
    if not path.parent.is_dir():
        raise UserError("its folder does not exist", where=str(path), hint="name a file in a folder that exists")
    if not os.access(path.parent, os.W_OK):
        raise UserError("its folder may not be written to", where=str(path), hint="name a file elsewhere")


def check_file(path: Path, endings: Sequence[str]) -> None:
    """Raises ``UserError`` unless ``path`` is a file with one of the endings that may be read."""
    if path.is_dir():
        raise UserError("is a directory", where=str(path), hint="name a file in it")
    if not path.exists():
        raise missing_file(path)
    if not path.name.lower().endswith(tuple(endings)):
        raise UserError("is none of the known formats", where=str(path), hint=f"they end in {_or(endings)}")
    if not os.access(path, os.R_OK):
        raise UserError("may not be read: permission denied", where=str(path))
    if path.stat().st_size == 0:
        raise UserError("is empty", where=str(path), hint="a table has a header and a row for each sample")


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
