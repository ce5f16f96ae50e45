"""Tables that list the cubes of a data set."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stem_spectral.cube import together
from stem_spectral.cube_formats import check_file
from stemcore import UserError


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are used; ``label`` and ``rgb`` may be absent under their usual names."""

    id: str = "ID"
    file: str = "hs_file"
    label: str = "label"
    rgb: str = "rgb_file"
    split: str | None = None
    group: str | None = None


OPTIONAL = Columns()


@dataclass(frozen=True)
class Row:
    """A cube of the table.

    Attributes:
        where: the table and the line.
        id: its name, different from all others.
        path: its file.
        label, rgb, part, group: what the table says, where it says anything.
    """

    where: str
    id: str
    path: Path
    label: str | None = None
    rgb: Path | None = None
    part: str | None = None
    group: str | None = None


def rows_at(path: Path, columns: Columns) -> list[Row]:
    """The rows of a table, or a row for a single cube.

    Raises:
        UserError: as ``rows_of`` does, and where columns are named and there is no table.
    """
    if path.suffix.lower() == ".csv":
        return rows_of(path, columns)
    if columns.split or columns.group:
        name = "split_column" if columns.split else "group_column"
        raise UserError(f"'{name}' names a column, and the data are one cube", where=str(path), hint="give a CSV file")
    return [Row(str(path), path.stem, path)]


def rows_of(path: Path, columns: Columns) -> list[Row]:
    """The rows of a CSV file; its relative paths are relative to it.

    Raises:
        UserError: with everything that is wrong with the table itself; its files are not looked at.
    """
    check_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            table = [
                (lines.line_num, [cell.strip() for cell in cells]) for cells in lines if any(map(str.strip, cells))
            ]
    except (UnicodeError, csv.Error) as error:
        raise UserError(f"is no table of text: {error}", where=str(path), hint="save it as CSV in UTF-8") from error
    if not table:
        raise UserError("is empty", where=str(path), hint=f"its header is {_usual(columns)}")
    header = _header(path, table[0][1], columns)
    faults, rows, seen = [], [], dict[str, int]()
    for line, cells in table[1:]:
        try:
            row = _row(path, line, cells, header, len(table[0][1]))
            if row.id in seen:
                raise UserError(f"'{row.id}' is the ID of line {seen[row.id]} too", where=row.where)
            seen[row.id] = line
            rows.append(row)
        except UserError as error:
            faults.append(error)
    if not rows and not faults:
        faults.append(UserError("lists no cubes: there is a header alone", where=str(path)))
    if faults:
        raise together(faults)
    return rows


def _header(path: Path, names: Sequence[str], columns: Columns) -> dict[str, int]:
    """The place of each role's column."""
    wanted = {role: name for role, name in vars(columns).items() if name is not None}
    free = {role for role in ("label", "rgb") if wanted[role] == getattr(OPTIONAL, role)}
    where = f"{path}:1"
    faults = [
        UserError(f"has no column '{name}'", where=where, hint=f"its columns are {', '.join(names)}")
        for role, name in wanted.items()
        if name not in names and role not in free
    ]
    faults += [
        UserError(f"has the column '{n}' twice", where=where)
        for n in sorted(set(wanted.values()))
        if names.count(n) > 1
    ]
    if faults:
        raise together(faults)
    return {role: names.index(name) for role, name in wanted.items() if name in names}


def _row(path: Path, line: int, cells: Sequence[str], header: dict[str, int], width: int) -> Row:
    where = f"{path}:{line}"
    if len(cells) != width:
        raise UserError(f"has {len(cells)} cells, the header has {width}", where=where)
    found = {role: cells[place] or None for role, place in header.items()}
    for role in ("id", "file"):
        if found[role] is None:
            raise UserError(f"has no {'ID' if role == 'id' else 'file'}", where=where)
    rgb = found.get("rgb")
    return Row(
        where,
        str(found["id"]),
        path.parent / Path(str(found["file"])).expanduser(),
        found.get("label"),
        path.parent / Path(rgb).expanduser() if rgb else None,
        found.get("split"),
        found.get("group"),
    )


def _usual(columns: Columns) -> str:
    return ",".join(name for name in (columns.id, columns.label, columns.file, columns.rgb))
