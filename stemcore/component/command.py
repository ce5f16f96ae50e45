"""Commands: verbs that a plugin adds to the command line."""

from __future__ import annotations

import os

import click

from stemcore.progress import Reporter
from stemcore.progress import reporter as reporter_of_stderr

CORE_VERBS = ("run", "validate", "recipes", "plugins", "schema", "encode", "reconstruct", "evaluate", "new")
"""The verbs of the core, which a plugin cannot replace."""


class Command(click.Command):
    """A click command: ``@click.command(cls=Command)``. A ``UserError`` that it raises becomes one line per problem
    and exit code 2, as everywhere. Import torch inside the function: ``stem --help`` stays fast."""


class CommandGroup(click.Group, Command):
    """A verb with verbs of its own, ``stem lab measure``: ``@click.group(cls=CommandGroup)``, then ``@lab.command()``
    for each. With ``invoke_without_command=True`` the group does something by itself, too."""


QUIET = "stemcore.quiet"
"""Where the context of a verb says that ``-q`` was given."""


ARGUMENTS = "stemcore.arguments"
"""Where the context of a verb has the arguments of the command line."""


def reporter() -> Reporter:
    """The reporter of the verb that runs: silent under ``-q``, and in all processes of a job but the first."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and context.meta.get(QUIET, False)
    return reporter_of_stderr(quiet=quiet or not is_first_process())


def is_first_process() -> bool:
    """Whether this is the process of a distributed job that speaks for all (torchrun, SLURM, Lightning Fabric)."""
    for job_wide in ("RANK", "SLURM_PROCID"):
        if job_wide in os.environ:
            return os.environ[job_wide] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))
