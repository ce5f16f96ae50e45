"""Columns that say something of the samples: numbers, or labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stem_paired.delimited import MISSING, delimiter_of, number_of, opened
from stem_paired.frames import read_parquet
from stem_paired.grid import fault, listed, name_faults, together
from stem_paired.tables import check_file
from stemcore import FieldSpec, UserError

READ = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")
TAKEN = re.compile(r"(input|mask|target)(_.*)?|index|model|transforms|progress|spec|history|latent|prediction")
"""Names of fields and outputs that a column cannot have."""


@dataclass(frozen=True)
class Metadata:
    """A table of text about samples.

    Attributes:
        ids: of the samples.
        columns: by name, the text of every sample, empty where it is missing.
        where: the file.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]
    where: str

    def of(self, ids: Sequence[str]) -> tuple[Metadata, list[str]]:
        """The rows of these samples, in this order, and the ids that there are no rows of."""
        place = {name: row for row, name in enumerate(self.ids)}
        rows = [place.get(name, -1) for name in ids]
        columns = {n: ["" if row < 0 else texts[row] for row in rows] for n, texts in self.columns.items()}
        return Metadata(tuple(ids), columns, self.where), [name for name in ids if name not in place]


def read_metadata(path: Path) -> Metadata:
    """A table of metadata: the first column is the sample id.

    Raises:
        UserError: with everything that is wrong with it.
    """
    check_file(path, READ)
    if path.suffix == ".parquet":
        frame = read_parquet(path)
        return metadata_of(path, frame.iloc[:, 0], frame.iloc[:, 1:])
    with opened(path, delimiter_of(path) or ",") as lines:
        header, rows = lines.header, list(lines.rows)
    faults = [
        fault(f"has {len(cells)} cells, the header has {len(header)}", f"{path}:{line}", "give every row as many")
        for line, cells in rows
        if len(cells) != len(header)
    ]
    if len(header) < 2:
        faults.append(fault("has one column, the sample ids, and nothing about them", str(path)))
    if faults:
        raise together(faults[:3])
    ids = tuple(cells[0].strip() for _, cells in rows)
    columns = {n: [_known(cells[k].strip()) for _, cells in rows] for k, n in enumerate(header[1:], 1)}
    faults = name_faults(path, ids, "sample id", "lines", lambda number: rows[number][0])
    faults += name_faults(path, header[1:], "column name", "columns", lambda number: number + 2)
    if faults:
        raise together(faults)
    return Metadata(ids, columns, str(path))


def metadata_of(path: Path, names: Any, frame: Any) -> Metadata:
    """The columns of a frame as text, of the samples ``names``. Raises ``UserError`` for a name that is there twice."""
    ids = tuple(str(name).strip() for name in names)
    if faults := name_faults(path, ids, "sample id", "rows", lambda number: number + 1):
        raise together(faults)
    columns = {}
    for name in frame.columns:
        column = frame[name].astype(object)
        columns[str(name)] = ["" if gone else _known(str(v)) for v, gone in zip(column, column.isna(), strict=True)]
    return Metadata(ids, columns, str(path))


def scalar_fields(metadata: Metadata) -> dict[str, tuple[FieldSpec, np.ndarray]]:
    """A scalar field for each column, with its values: float32 where all that is known are numbers (NaN: missing), else
    int64, the place of the text among the sorted texts of the column (negative: missing).

    A name becomes one that a component can ask for: all but letters and digits turns into ``_``.

    Raises:
        UserError: for names that are taken, or become the same.
    """
    fields: dict[str, tuple[FieldSpec, np.ndarray]] = {}
    faults = []
    for column, texts in metadata.columns.items():
        name = field_name(column)
        if TAKEN.fullmatch(name) or name in fields:
            why = "is already that of another column" if name in fields else "is taken: tensors are called so"
            faults.append(fault(f"the name of column '{column}' {why}", metadata.where, "give it another name"))
        fields[name] = _field(name, texts)
    if faults:
        raise together(faults)
    return fields


def field_name(column: str) -> str:
    """The name of a column's field."""
    name = re.sub(r"\W", "_", column)
    return name if name.isidentifier() else f"_{name}"


def missing_report(metadata: Metadata, absent: Sequence[str]) -> str:
    """What to say of samples without metadata."""
    return f"{metadata.where} has nothing on {len(absent)} of {len(metadata.ids)} samples ({listed(absent)})"


def _field(name: str, texts: Sequence[str]) -> tuple[FieldSpec, np.ndarray]:
    numbers = [number_of(text) for text in texts]
    if all(number is not None and not math.isinf(number) for number in numbers):
        return FieldSpec(name, (), finite=False), np.array(numbers, np.float32)
    classes = tuple(sorted({*texts} - {""}))
    codes = {text: code for code, text in enumerate(classes)}
    return FieldSpec(name, (), "int64", classes=classes), np.array([codes.get(t, -1) for t in texts], np.int64)


def _known(text: str) -> str:
    return "" if text in MISSING else text


def column_of(metadata: Metadata, column: str, where: str) -> Sequence[str]:
    """The texts of a column. Raises ``UserError`` if there is none of that name."""
    if column not in metadata.columns:
        hint = f"its columns are {', '.join(metadata.columns)}"
        raise UserError(f"{metadata.where} has no column '{column}'", where=where, hint=hint)
    return metadata.columns[column]
