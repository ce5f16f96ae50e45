"""The YAML files behind recipes and options: where a shipped one is, and what stands in it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from stemcore.errors import Problem, UserError
from stemcore.plugins import Entry
from stemcore.recipe.node import Node
from stemcore.recipe.source import read_yaml

SUFFIXES = (".yaml", ".yml")


def shipped_path(entry: Entry) -> Path:
    """The file of a shipped recipe or option, found without importing its package.

    Raises:
        UserError: if the package has no such file.
    """
    package, _, file = entry.target.partition(":")
    try:
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec else None
    except (ImportError, ValueError):
        folders = None
    for folder in folders or ():
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    who = f"{entry.kind} '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution})"
    raise UserError(f"{who} is not where it should be: no package '{package}' with a file {file}")


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
