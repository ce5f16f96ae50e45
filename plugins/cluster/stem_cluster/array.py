"""Arrays: which values each run of a submission has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from stemcore import Node, UserError, load_yaml

Values = Mapping[str, Any]


def read_array(path: str) -> list[Values]:
    """The values of each run: every combination of a mapping ``KEY: [VALUE, ...]``, the last key changing fastest, or
    the entries of a list of mappings ``KEY: VALUE``.

    Raises:
        UserError: with everything that is wrong in the file, each with ``file:line``.
    """
    tree = load_yaml(path)
    if isinstance(tree.value, dict) and tree.value:
        return _grid(tree.value)
    if isinstance(tree.value, list) and tree.value:
        return _listed(tree.value)
    hint = "write KEY: [VALUE, VALUE] for every combination, or a list of KEY: VALUE"
    raise UserError("it names no run", where=tree.where, hint=hint)


def overrides_of(values: Values) -> list[str]:
    """``KEY=VALUE`` of each value."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def _grid(tree: Mapping[str, Node]) -> list[Values]:
    errors = [
        UserError(f"{key}: {node.plain()!r} is no list of values", where=node.where, hint="write KEY: [VALUE, VALUE]")
        for key, node in tree.items()
        if not isinstance(node.value, list) or not node.value
    ]
    _refuse(errors)
    points = itertools.product(*(node.plain() for node in tree.values()))
    return [dict(zip(tree, point, strict=True)) for point in points]


def _listed(entries: list[Node]) -> list[Values]:
    errors = [
        UserError(f"{entry.plain()!r} has no values for keys", where=entry.where, hint="write - KEY: VALUE")
        for entry in entries
        if not isinstance(entry.value, dict) or not entry.value
    ]
    _refuse(errors)
    return [entry.plain() for entry in entries]


def _refuse(errors: list[UserError]) -> None:
    if errors:
        raise UserError(*(problem for error in errors for problem in error.problems))
