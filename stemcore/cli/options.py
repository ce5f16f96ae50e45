"""The options that every verb takes, before or after its name."""

from __future__ import annotations

import click

from stemcore.component.command import QUIET, reporter
from stemcore.component.command import is_first_process as is_first_process

progress = reporter
"""The verbs of the core report as those of plugins do."""


def common(command: click.Command) -> click.Command:
    """Adds ``--debug`` and ``-q/--quiet`` to a verb and its sub-verbs, where it has none of that name itself."""
    taken = {name for parameter in command.params for name in parameter.opts}
    # main() looks for --debug by itself: it must hold even where the arguments cannot be parsed.
    debug = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks.")
    names = [name for name in ("-q", "--quiet") if name not in taken]
    if "--debug" not in taken:
        command.params.append(debug)
    if "--quiet" in names:
        command.params.append(
            click.Option(names, is_flag=True, expose_value=False, callback=_be_quiet, help="Show no progress.")
        )
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            common(verb)
    return command


def _be_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[QUIET] = True
