"""Labels as they are given: a table, an array, a dataset of an HDF5 file, or a field of the data set."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcore import UserError

FIELD = "field:"
HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".emd", ".mat")
LABEL, ID = "label", "id"
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
FORMS = "give a .csv, a .npy, FILE.h5:DATASET or field:NAME"


@dataclass(frozen=True)
class Given:
    """Labels before they meet their items.

    Attributes:
        values: integers, floats or text, of any shape.
        where: what to name in a message.
        ids: the item of each, where the labels name their items.
        classes: the names of the values 0, 1, ..., where they are known.
    """

    values: np.ndarray
    where: str
    ids: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()


def is_field(text: str) -> bool:
    """Whether labels are asked for by the name of a field."""
    return text.startswith(FIELD)


def read_labels(text: str) -> Given:
    """Labels from a file.

    Args:
        text: ``labels.csv``, ``labels.npy`` or ``scan.h5:labels``.

    Raises:
        UserError: if there is no such file or dataset, or it holds no labels.
    """
    path, dataset = _parts(text)
    if not path.is_file():
        raise UserError("there is no such file", where=str(path), hint=FORMS)
    if path.suffix.lower() == ".csv":
        return _table(path)
    if path.suffix.lower() == ".npy":
        return Given(_array(path), text)
    if path.suffix.lower() in HDF5:
        return _dataset(path, dataset, text)
    raise UserError("it is no kind of file that labels are read from", where=str(path), hint=FORMS)


def _parts(text: str) -> tuple[Path, str | None]:
    """File and dataset: the last colon parts them, unless the name of the file itself has it."""
    path, colon, dataset = text.rpartition(":")
    if colon and Path(path).suffix.lower() in HDF5:
        return Path(path), dataset
    return Path(text), None


def _array(path: Path) -> np.ndarray:
    try:
        return _plain(np.load(path, allow_pickle=False), str(path))
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"it cannot be read as an array ({reason})", where=str(path)) from error


def _dataset(path: Path, name: str | None, where: str) -> Given:
    import h5py
    import hdf5plugin  # noqa: F401  what HDF5 is compressed with

    try:
        file = h5py.File(path)
    except OSError as error:
        raise UserError("it cannot be read as HDF5", where=str(path)) from error
    with file:
        found: list[str] = []
        file.visititems(lambda n, o: found.append(n) if isinstance(o, h5py.Dataset) else None)
        listed = f"it has {', '.join(found)}" if found else "it has none"
        if name is None:
            raise UserError("which dataset holds the labels?", where=where, hint=f"write {path}:DATASET; {listed}")
        if name.strip("/") not in found:
            raise UserError(f"there is no dataset '{name}'", where=str(path), hint=listed)
        data = file[name]
        text = h5py.check_string_dtype(data.dtype) is not None
        values = np.asarray(data.asstr()[()], dtype=str) if text else _plain(data[()], where)
        return Given(values, where, classes=_names(data.attrs.get("class_names")))


def _names(attribute: Any) -> tuple[str, ...]:
    if attribute is None:
        return ()
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in np.atleast_1d(attribute))


def _plain(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind not in "iufU":
        raise UserError(f"labels cannot be of type {values.dtype}", where=where, hint="integers, numbers or text")
    return values


def _table(path: Path) -> Given:
    """``id,label`` (and other columns), or one column in the order of the items."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"it cannot be read as a table ({error})", where=str(path)) from error
    if not rows:
        raise UserError("it is empty", where=str(path))
    width = len(rows[0][1])
    if ragged := [number for number, row in rows if len(row) != width]:
        raise UserError(f"it should have {width} columns as the first line does", where=f"{path}:{ragged[0]}")
    header = [name.strip().lower() for name in rows[0][1]]
    if width == 1:
        _refuse_other_separator(header[0], path)
        body = rows[1:] if header == [LABEL] else rows
        return Given(_typed([row[0].strip() for _, row in body]), str(path))
    if LABEL not in header or ID not in header:
        named = ", ".join(rows[0][1])
        hint = "name two of its columns 'id' and 'label', or give one column alone"
        raise UserError(f"its columns are {named}", where=f"{path}:1", hint=hint)
    ids = [row[header.index(ID)].strip() for _, row in rows[1:]]
    seen: set[str] = set()
    for (number, _), name in zip(rows[1:], ids, strict=True):
        if name in seen:
            raise UserError(f"'{name}' comes a second time", where=f"{path}:{number}")
        seen.add(name)
    return Given(_typed([row[header.index(LABEL)].strip() for _, row in rows[1:]]), str(path), tuple(ids))


def _refuse_other_separator(header: str, path: Path) -> None:
    for mark, what in OTHER_SEPARATORS.items():
        if {ID, LABEL} <= {name.strip(" \"'") for name in header.split(mark)}:
            raise UserError(f"its columns are parted by {what}", where=f"{path}:1", hint="part them by commas")


def _typed(texts: Sequence[str]) -> np.ndarray:
    """Integers if all are, else numbers if all are (empty: NaN), else text."""
    for kind in (int, float):
        try:
            return np.array([kind(text) if text or kind is int else np.nan for text in texts])
        except ValueError:
            continue
    return np.array(texts, dtype=str)
