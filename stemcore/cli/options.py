"""The options that every verb takes, before or after its name."""

from __future__ import annotations

from copy import copy
from typing import TypeVar

import click

from stemcore.component.command import QUIET

Verb = TypeVar("Verb", bound=click.Command)


def common(command: Verb) -> Verb:
    """A verb with ``--debug`` and ``-q/--quiet``, its sub-verbs, too, where it has none of that name itself."""
    taken = {name for parameter in command.params for name in parameter.opts}
    added = []
    # main() looks for --debug by itself: it must hold even where the arguments cannot be parsed.
    debug = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks.")
    names = [name for name in ("-q", "--quiet") if name not in taken]
    if "--debug" not in taken:
        added.append(debug)
    if "--quiet" in names:
        added.append(
            click.Option(names, is_flag=True, expose_value=False, callback=_be_quiet, help="Show no progress.")
        )
    # A copy, as the command is its plugin's, which may be used without the command line.
    verb = copy(command)
    verb.params = [*command.params, *added]
    if isinstance(verb, click.Group):
        verb.commands = {name: common(below) for name, below in verb.commands.items()}
    return verb


def _be_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[QUIET] = True
