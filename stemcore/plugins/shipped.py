"""The files of recipes and options that plugins ship, found and read without the machinery that makes sense of them."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from stemcore.errors import UserError
from stemcore.plugins.catalogue import Entry
from stemcore.plugins.discovery import cause_of


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


def shipped_text(entry: Entry) -> str:
    """The YAML of a shipped recipe or option.

    Raises:
        UserError: if it cannot be read; the message names the plugin and the cause.
    """
    package, _, path = entry.target.partition(":")
    try:
        return files(package).joinpath(path).read_text(encoding="utf-8")
    except Exception as error:
        who = f"{entry.kind} '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution})"
        raise UserError(f"{who} cannot be read from {entry.target}: {cause_of(error)}") from error


def summary_of(entry: Entry) -> str:
    """The first comment line of a shipped recipe or option, or why it cannot be read."""
    try:
        lines = shipped_text(entry).splitlines()
    except UserError as error:
        return f"({error})"
    return next((line.lstrip("# ").rstrip() for line in lines if line.startswith("#")), "")
