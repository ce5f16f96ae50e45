"""Values of documents that anyone may have written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, anything else as an empty one: what is read may have been written by anyone."""
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    """A number, or ``None`` for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def at(document: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key, ``None`` where there is none; a component in a list is found by its place or type."""
    found: Any = document
    for part in key.split("."):
        if isinstance(found, list) and part.isdigit():
            found = found[int(part)] if int(part) < len(found) else None
        elif isinstance(found, list):
            found = next((item for item in found if mapping(item).get("type") == part), None)
        else:
            found = mapping(found).get(part)
    return found


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document by its dotted key."""
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        items = enumerate(value)
    if not items:
        yield place, value
    for key, below in items:
        yield from leaves(below, f"{place}.{key}" if place else str(key))


def is_finite(value: float | None) -> bool:
    """Whether there is a number, and it is finite."""
    return value is not None and math.isfinite(value)
