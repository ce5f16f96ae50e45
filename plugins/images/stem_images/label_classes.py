"""Labels as numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stem_images.items import Item
from stem_images.picture_files import together
from stemcore import UserError

NONE = -1
MOST_NUMBERED = 10_000


@dataclass(frozen=True)
class Labels:
    """The class of each item, ``numbers`` (n,) int64, -1 where it has none, and the names of the classes."""

    numbers: np.ndarray
    classes: tuple[str, ...]


def labels_of(items: Sequence[Item], classes: Sequence[str] | None) -> Labels | None:
    """The labels of items, or ``None`` where nothing has one.

    Args:
        items: with their labels as text; a negative number is none.
        classes: the labels in the order that numbers them, where that is given.

    Raises:
        UserError: if a label is none of the classes, or too large a number.
    """
    if not any(item.label for item in items):
        return None
    names = classes_of(items) if classes is None else tuple(classes)
    number = {name: k for k, name in enumerate(names)}
    if len(number) < len(names):
        raise UserError("a class is named twice", where="classes")
    faults = [
        UserError(f"its label '{item.label}' is none of the classes {', '.join(names)}", where=item.where)
        for item in items
        if item.label not in number and not _none(item.label)
    ]
    if faults:
        raise together(faults)
    return Labels(np.array([NONE if _none(item.label) else number[item.label] for item in items], np.int64), names)


def classes_of(items: Sequence[Item]) -> tuple[str, ...]:
    """Names of the classes: all numbers from 0 to the largest where every label is a whole number, else the labels in
    the order of their names; none where nothing has a label.

    Raises:
        UserError: if numbers are too large for being those of classes.
    """
    found = {item.label for item in items if item.label}
    if not found or not all(label.removeprefix("-").isdecimal() for label in found):
        return tuple(sorted(found))
    largest = max(map(int, found))
    if largest >= MOST_NUMBERED:
        hint = "set classes to the labels in the order that numbers them"
        raise UserError(f"the label {largest} is too large for the number of a class", where="label", hint=hint)
    return tuple(map(str, range(largest + 1)))


def _none(label: str) -> bool:
    return not label or (label.startswith("-") and label[1:].isdecimal())
