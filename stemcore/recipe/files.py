"""The YAML files behind recipes and options."""

from __future__ import annotations

from pathlib import Path

from stemcore.errors import Problem, UserError
from stemcore.recipe.node import Node
from stemcore.recipe.source import read_yaml

SUFFIXES = (".yaml", ".yml")


def read_file(path: Path, label: str, problems: list[Problem]) -> Node:
    """The tree of a file.

    Args:
        path: the file.
        label: what it is called in ``label:line``.
        problems: takes in what is wrong but does not keep the rest from being read.

    Raises:
        UserError: if it cannot be read as YAML.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError("it is not UTF-8 text", where=f"{label}:{line}") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=label) from error
    return read_yaml(text, label, problems)
