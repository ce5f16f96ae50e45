"""Sweeps over the values of a recipe."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_commands() -> dict[str, str]:
    """A verb that trains a recipe many times, with other values each time."""
    return {"sweep": "stem_sweeps.command:sweep"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """A small sweep, for contract checks."""
    return {"command/sweep": "stem_sweeps.examples:sweep"}
