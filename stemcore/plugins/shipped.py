"""The text of recipes and options that plugins ship, read without the machinery that makes sense of it."""

from __future__ import annotations

from importlib.resources import files

from stemcore.errors import UserError
from stemcore.plugins.catalogue import Entry
from stemcore.plugins.discovery import cause_of


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
