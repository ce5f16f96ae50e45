"""Lists of pictures: a CSV file, a folder, or a single picture."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stem_images.picture_files import SUFFIXES, together
from stemcore import UserError

IMAGE, LABEL, NAME, FOLDER = "image_path", "label", "name", "folder"
"""Columns that a folder has, as if it were a table."""
_COLUMN = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Row:
    """A picture of the list: ``where`` it is named (table and line, or its file), and its cells by column."""

    where: str
    cells: Mapping[str, str]

    def text(self, source: str) -> str:
        """The cell of a column, or a template with the cells of its columns in braces; empty where one of them is."""
        names = columns_of(source)
        if names == (source,):
            return self.cells[source]
        if not all(self.cells[name] for name in names):
            return ""
        return _COLUMN.sub(lambda match: self.cells[match[1]], source)


@dataclass(frozen=True)
class Listing:
    """Pictures and what is said of them.

    Attributes:
        path: of the table, the folder or the picture.
        root: the folder that paths are relative to.
        columns: their names.
        rows: a row for each picture, one at least.
        where: the place of the names of columns, for messages.
    """

    path: Path
    root: Path
    columns: tuple[str, ...]
    rows: Sequence[Row]
    where: str

    @property
    def table(self) -> bool:
        """Whether it is a CSV file."""
        return self.path.is_file() and self.path.suffix.lower() == ".csv"

    def lacking(self, source: str) -> list[str]:
        """Columns of a column's name or a template that it does not have."""
        return [name for name in columns_of(source) if name not in self.columns]


def columns_of(source: str) -> tuple[str, ...]:
    """The columns in a template such as ``masks/{id}.png``; without braces it is the name of a column."""
    return tuple(dict.fromkeys(_COLUMN.findall(source))) or (source,)


def listing_of(path: Path) -> Listing:
    """The pictures at a path.

    Raises:
        UserError: if there is nothing, no picture, or a table with rows that are not as long as its header.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise UserError("there is no such file or folder", where=str(path))
    if path.suffix.lower() in SUFFIXES:
        row = Row(str(path), {IMAGE: path.name, NAME: path.stem, FOLDER: ""})
        return Listing(path, path.parent, tuple(row.cells), [row], str(path))
    if path.suffix.lower() != ".csv":
        hint = f"give a folder, a CSV file, or a picture ({', '.join(SUFFIXES)})"
        raise UserError("is no list of pictures", where=str(path), hint=hint)
    return _of_table(path)


def _of_folder(path: Path) -> Listing:
    found = []
    for folder, inner, files in os.walk(path, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        shown = (name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES)
        found += [Path(folder, name).relative_to(path) for name in shown]
    if not found:
        raise UserError("holds no pictures", where=str(path), hint=f"known: {', '.join(SUFFIXES)}")
    found.sort()
    cells = [{IMAGE: f.as_posix(), NAME: f.stem, FOLDER: _parent(f)} for f in found]
    if all(len(f.parts) == 2 for f in found):
        cells = [{**one, LABEL: one[FOLDER]} for one in cells]
    rows = [Row(str(path / f), one) for f, one in zip(found, cells, strict=True)]
    return Listing(path, path, tuple(cells[0]), rows, str(path))


def _parent(relative: Path) -> str:
    return "" if relative.parent == Path() else relative.parent.as_posix()


def _of_table(path: Path) -> Listing:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (UnicodeError, csv.Error) as error:
        raise UserError(f"is no table of text: {error}", where=str(path), hint="save it as CSV in UTF-8") from error
    if not lines:
        raise UserError("is empty", where=str(path), hint=f"its header is {IMAGE},{LABEL},mask_path or the like")
    header = lines[0][1]
    faults = [
        UserError(f"has the column '{name}' twice", where=f"{path}:1")
        for name, times in Counter(header).items()
        if times > 1 and name
    ]
    faults += [
        UserError(f"has {len(cells)} cells, the header has {len(header)}", where=f"{path}:{line}")
        for line, cells in lines[1:]
        if len(cells) != len(header)
    ]
    if len(lines) == 1:
        faults.append(UserError("lists no pictures: there is a header alone", where=str(path)))
    if faults:
        raise together(faults)
    rows = [Row(f"{path}:{line}", dict(zip(header, cells, strict=True))) for line, cells in lines[1:]]
    return Listing(path, path.parent, tuple(header), rows, f"{path}:1")
