"""The tree of a recipe: plain values, each with the place where it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcore.errors import Problem

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A value of a recipe.

    Attributes:
        value: a scalar, a ``dict[str, Node]`` or a ``list[Node]``.
        where: ``file:line`` of its key, or the command-line argument that set it.
        removes: a null that took the place of a value inherited from another recipe.
        replaces: a mapping that takes the place of an inherited one, rather than being laid over it.
    """

    value: Any
    where: str
    removes: bool = False
    replaces: bool = False

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, key: str | int) -> Node | None:
        """The child under a key or index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            child: Node = self.value[key]
            return child
        return None

    def nearest(self, place: Place) -> Node:
        """The node at a place, or the innermost one around it that was written down."""
        node = self
        for key in place:
            child = node.get(key)
            if child is None:
                break
            node = child
        return node


def dotted(place: Place) -> str:
    """A place as it is written on the command line: ``data.augment.0.p``."""
    return ".".join(str(key) for key in place)


def from_plain(value: Any, where: str, problems: list[Problem], place: Place = ()) -> Node:
    """A tree from Python data; what is not plain data is reported and left out."""
    if isinstance(value, Mapping):
        children = {}
        for key, child in value.items():
            if isinstance(key, str):
                children[key] = from_plain(child, where, problems, (*place, key))
            else:
                problems.append(Problem(f"{dotted((*place, repr(key)))}: a key must be text", where))
        return Node(children, where)
    if isinstance(value, Path):
        return Node(str(value), where)
    if isinstance(value, (str, bool, int, float)) or value is None:
        return Node(value, where)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return Node([from_plain(child, where, problems, (*place, i)) for i, child in enumerate(value)], where)
    kind = type(value).__name__
    problems.append(Problem(f"{dotted(place) or 'a recipe'}: {kind} is not plain data", where))
    return Node({} if not place else None, where)
