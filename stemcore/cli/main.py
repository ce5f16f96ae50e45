"""``stem``: one verb, its result on stdout, its progress and errors on stderr, its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import click

from stemcore import __version__
from stemcore.cli.failures import report, stdout_is_closed
from stemcore.cli.options import common
from stemcore.cli.verbs import Stem
from stemcore.cli.warning_lines import warnings_in_lines
from stemcore.component.command import ARGUMENTS

EPILOG = """Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 130 interrupted.

\b
Completion in bash (zsh and fish likewise):
  eval "$(_STEM_COMPLETE=bash_source stem)"
"""


@click.group(
    cls=Stem,
    invoke_without_command=True,
    subcommand_metavar="VERB [ARGS]...",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="stem", message="%(prog)s %(version)s")
@click.pass_context
def stem(ctx: click.Context) -> None:
    """Autoencoders of 4D-STEM and other scientific data: a recipe names components, plugins provide them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


stem = common(stem)


def execute(args: Sequence[str]) -> int:
    """Runs one verb and returns the exit code; errors are printed on stderr, with their tracebacks if ``--debug``
    is among the arguments."""
    try:
        with warnings_in_lines(), stem.make_context("stem", list(args)) as ctx:
            ctx.meta[ARGUMENTS] = tuple(args)
            stem.invoke(ctx)
        sys.stdout.flush()
    except BrokenPipeError as error:
        return 0 if stdout_is_closed() else report(error, debug="--debug" in args)
    except (Exception, KeyboardInterrupt) as error:
        return report(error, debug="--debug" in args)
    return 0


def main() -> NoReturn:
    """The console script ``stem``."""
    if "_STEM_COMPLETE" in os.environ:
        from stemcore.cli.shells import register

        register()
        stem.main(prog_name="stem")
    code = execute(sys.argv[1:])
    _abandon_if_closed(sys.stdout)
    _abandon_if_closed(sys.stderr)
    sys.exit(code)


def _abandon_if_closed(stream: TextIO) -> None:
    """Lets what is left for a closed pipe go to nowhere: the interpreter would complain of it on its way out."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
