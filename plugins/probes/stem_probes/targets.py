"""What is to be told from features: classes or numbers, of items or of the places in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stem_probes.label_files import FIELD, Given
from stemcore import UserError

if TYPE_CHECKING:
    from stemcore import Items

NONE = -1
"""The code of no class."""
READ_BYTES = 64e6


@dataclass(frozen=True)
class Targets:
    """Labels of items, or of the pixels of items.

    Attributes:
        values: codes of classes, int64 (n,) or (n, H, W), ``NONE`` for none of them; or numbers, float64 (n, k) or
            (n, k, H, W), NaN for none.
        names: of the classes; of the numbers.
        where: the labels' source.
        notes: what was left out.
    """

    values: np.ndarray
    names: tuple[str, ...]
    where: str
    notes: tuple[str, ...] = ()

    @property
    def regression(self) -> bool:
        """Whether they are numbers."""
        return self.values.dtype.kind == "f"

    @property
    def of_pixels(self) -> bool:
        """Whether they are of pixels."""
        return self.values.ndim >= 3


def field_labels(name: str, items: Items) -> Given:
    """The labels that the data set itself has.

    Raises:
        UserError: if it has no such field.
    """
    spec, where = items.spec.get(name), f"{FIELD}{name}"
    if spec is None:
        raise UserError(f"the data have no field '{name}'", where="--labels", hint=f"only {', '.join(items.spec)}")
    rows = [fields[name] for _, fields in items.batches(items_at_once(items))]
    values = np.concatenate(rows) if rows else np.empty((0,))
    if np.dtype(spec.dtype).kind == "f" or (spec.scale, spec.offset) != (1.0, 0.0):
        values = values * spec.scale + spec.offset
    return Given(values.astype(np.int64) if values.dtype == bool else values, where, classes=spec.classes)


def items_at_once(items: Items) -> int:
    """How many items may be read at a time."""
    bytes_each = sum(spec.size * np.dtype(spec.dtype).itemsize for spec in items.spec.values())
    return max(1, int(READ_BYTES // max(1, bytes_each)))


def scan_of(items: Items) -> tuple[int, ...] | None:
    """The shape of the scan that the items fill, if they do."""
    scan = items.spec.scan_shape
    return tuple(scan) if scan is not None and math.prod(scan) == len(items) else None


def targets_of(given: Given, items: Items, task: str, ignored: Sequence[str]) -> Targets:
    """Labels put to their items.

    Args:
        given: the labels.
        items: all items.
        task: ``classification``, ``regression`` or ``auto``: numbers that are not whole are a regression.
        ignored: labels that stand for none, by value or by name.

    Raises:
        UserError: if they are not of these items, or tell nothing.
    """
    values, notes = (given.values, ()) if given.ids is None else _by_id(given, items)
    whole = values.dtype.kind != "f" or not np.any(np.mod(values[np.isfinite(values)], 1))
    if task == "classification" or (task == "auto" and whole):
        if not whole:
            raise UserError("numbers that are not whole are no classes", where=given.where, hint="--task regression")
        codes, names = _codes(values, given, ignored)
        return Targets(_of_items(codes, items, given.where, 0), names, given.where, notes)
    if values.dtype.kind == "U":
        raise UserError("text is no number", where=given.where, hint="--task classification")
    if ignored:
        raise UserError("a regression has no labels to ignore, missing numbers are NaN", where="--ignore-label")
    numbers = _of_items(values.astype(np.float64), items, given.where, 1)
    names = given.classes if len(given.classes) == numbers.shape[1] else tuple(map(str, range(numbers.shape[1])))
    return Targets(numbers, names, given.where, notes)


def _by_id(given: Given, items: Items) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label for each item, none for those that are not named; and what is said of names of no item."""
    assert given.ids is not None
    names = items.names or tuple(str(k) for k in range(len(items)))
    at = {name: k for k, name in enumerate(names)}
    known = [(at[name], k) for k, name in enumerate(given.ids) if name in at]
    if not known:
        called = ", ".join(names[:3])
        raise UserError("none of its ids is one of the data's", where=given.where, hint=f"the data's are {called}, ...")
    text = given.values.dtype.kind == "U"
    out = np.full(len(items), "" if text else np.nan, dtype=given.values.dtype if text else np.float64)
    out[[i for i, _ in known]] = given.values[[k for _, k in known]]
    unknown = [name for name in given.ids if name not in at]
    return out, (f"{len(unknown)} ids are not in the data, such as {unknown[0]}",) if unknown else ()


def _codes(values: np.ndarray, given: Given, ignored: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes from 0 on in the order of the labels, and the classes' names."""
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, NONE).astype(np.int64)
    text = values.dtype.kind == "U"
    kept = {value: _name(value, given) for value in np.unique(values).tolist() if (value != "" if text else value >= 0)}
    names = {str(value) for value in kept} | set(kept.values())
    if unknown := [label for label in ignored if label not in names]:
        hint = f"there are {', '.join(kept.values())}"
        raise UserError(f"no item has the label {', '.join(unknown)}", where="--ignore-label", hint=hint)
    kept = {value: name for value, name in kept.items() if str(value) not in ignored and name not in ignored}
    if len(kept) < 2:
        only = f"only {', '.join(kept.values())}" if kept else "none"
        raise UserError(f"there should be two classes at least, and there is {only}", where=given.where)
    codes = np.full(values.shape, NONE, dtype=np.int64)
    for code, value in enumerate(kept):
        codes[values == value] = code
    return codes, tuple(kept.values())


def _name(value: int | str, given: Given) -> str:
    return given.classes[value] if isinstance(value, int) and value < len(given.classes) else str(value)


def _of_items(values: np.ndarray, items: Items, where: str, extra: int) -> np.ndarray:
    """(n, ...) from (n, ...), from the scan's shape, or from that of a single item; with ``extra`` axes of numbers
    behind the first, one where the labels have none."""
    n, scan, shape = len(items), scan_of(items), values.shape
    if scan is not None and shape[: len(scan)] == scan:
        values = values.reshape(n, *shape[len(scan) :])
    elif n == 1 and len(shape) in (2, 2 + extra) and shape[0] != 1:
        values = values[None]
    if values.ndim == 0 or len(values) != n:
        laid = f", laid out as {_shape(scan)}" if scan is not None else ""
        raise UserError(f"labels of shape {_shape(shape)} do not fit {n} items{laid}", where=where)
    if extra:
        values = values[:, None] if values.ndim in (1, 3) else values
    elif values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    wanted = (1 + extra, 3 + extra)
    if values.ndim not in wanted:
        what = "(items,) or (items, height, width)"
        raise UserError(f"labels of shape {_shape(shape)} are neither of items nor of pixels", where=where, hint=what)
    return values


def _shape(shape: Sequence[int] | None) -> str:
    return " x ".join(map(str, shape or ()))
