"""``stem submit``: a recipe as a job of a cluster."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from stem_cluster.resources import SCHEDULERS
from stemcore import Command

_count = click.IntRange(min=1)


@click.command(cls=Command)
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--scheduler", type=click.Choice(SCHEDULERS), help="Of the cluster; the one that is here without.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Run directory, or folder of an array.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run whose job has ended.")
@click.option("--array", metavar="FILE", help="A job for each combination of values in FILE.")
@click.option("--parallel", type=_count, metavar="N", help="Jobs of an array that may run at once.")
@click.option("--nodes", type=_count, metavar="N", help="Machines; the recipe's trainer.num_nodes without.")
@click.option("--gpus", type=_count, metavar="N", help="GPUs of each machine, with a process for each.")
@click.option("--tasks", type=_count, metavar="N", help="Processes on each machine, on CPUs.")
@click.option("--cpus", type=_count, metavar="N", help="Cores of each process.")
@click.option("--memory", metavar="SIZE", help="Of each machine: 500M, 16G.")
@click.option("--time", "time_limit", metavar="TIME", help="Limit: 4:00:00, 90m, 4h, 2d.")
@click.option("--partition", "--queue", "queue", metavar="NAME", help="Partition of SLURM, queue of LSF and PBS.")
@click.option("--account", metavar="NAME", help="What is charged.")
@click.option("--directive", multiple=True, metavar="TEXT", help="Another option of the scheduler; may be repeated.")
@click.option("--env-setup", "setup", multiple=True, metavar="LINE", help="Shell before the run: 'module load ...'.")
@click.option(
    "--max-requeues",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How often a job goes on after it was preempted or its time was up.",
)
@click.option(
    "--notice",
    type=click.IntRange(min=1),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long before its limit a job saves and requeues.",
)
@click.option("--dry-run", is_flag=True, help="Print the script; write and submit nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def submit(
    recipe: str,
    overrides: tuple[str, ...],
    scheduler: str | None,
    output: Path | None,
    resume: Path | None,
    array: str | None,
    parallel: int | None,
    nodes: int | None,
    gpus: int | None,
    tasks: int | None,
    cpus: int | None,
    memory: str | None,
    time_limit: str | None,
    queue: str | None,
    account: str | None,
    directive: tuple[str, ...],
    setup: tuple[str, ...],
    max_requeues: int,
    notice: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train what a recipe describes as a job of a cluster.

    The recipe is checked first, as 'stem validate' does. The run directory is decided at once and printed; its folder
    job/ has the script, the recipe and the log. A job that is preempted, or whose time is up, is put into the queue
    again and goes on exactly where it was. 'stem jobs' shows how far it is.
    """
    from stem_cluster.resources import Resources, read_memory, read_time
    from stem_cluster.submission import Request, prepare
    from stemcore import UserError, show_json

    if gpus and tasks:
        raise UserError("there is one process for each GPU", where="--tasks", hint="leave it out, or --gpus")
    resources = Resources(
        nodes=nodes or 0,
        tasks=gpus or tasks or 0,
        gpus=gpus or 0,
        cpus=cpus,
        memory=None if memory is None else read_memory(memory),
        seconds=None if time_limit is None else read_time(time_limit),
        queue=queue,
        account=account,
        directives=directive,
    )
    with redirect_stdout(sys.stderr):
        submission = prepare(
            Request(
                recipe,
                overrides,
                scheduler,
                output,
                resume,
                array,
                parallel,
                resources,
                setup,
                max_requeues,
                notice,
                tuple(_typed()),
            )
        )
        records = [] if dry_run else submission.submit()
    name = submission.plan.scheduler
    if dry_run and as_json:
        show_json({"scheduler": name, "scripts": {str(path): text for path, text in submission.scripts().items()}})
    elif dry_run:
        for path, text in submission.scripts().items():
            click.echo(f"# {path}\n{text}")
    elif as_json:
        show_json({"scheduler": name, "jobs": [{"run": str(r.run), "id": r.id, "values": r.values} for r in records]})
    else:
        for record in records:
            click.echo(f"{_short(record.run)}  {name} job {record.id}")


def _typed() -> list[str]:
    """The command as it was typed."""
    context = click.get_current_context()
    return ["stem", *context.find_root().meta.get("stemcore.arguments", ())]


def _short(path: Path) -> str:
    """A path from here, where it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
