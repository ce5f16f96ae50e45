"""Commands: verbs that a plugin adds to the command line."""

from __future__ import annotations

import click

CORE_VERBS = ("run", "validate", "recipes", "plugins", "schema", "encode", "reconstruct", "evaluate", "new")
"""The verbs of the core, which a plugin cannot replace."""


class Command(click.Command):
    """A click command: ``@click.command(cls=Command)``. A ``UserError`` that it raises becomes one line per problem
    and exit code 2, as everywhere. Import torch inside the function: ``stem --help`` stays fast."""
