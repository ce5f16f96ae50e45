"""Commands: verbs that a plugin adds to the command line."""

from __future__ import annotations

import click


class Command(click.Command):
    """A click command: ``@click.command(cls=Command)``. A ``UserError`` that it raises becomes one line per problem
    and exit code 2, as everywhere. Import torch inside the function: ``stem --help`` stays fast."""
