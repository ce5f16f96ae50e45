"""``stem sweep``: the values of a recipe that make its best run."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore import Command

if TYPE_CHECKING:
    from stem_sweeps.plan import Plan, Request

# As in study.py, which is not imported for --help.
SAMPLERS, PRUNERS = ("tpe", "random", "grid"), ("median", "hyperband", "none")


@click.command(cls=Command)
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--space", required=True, metavar="FILE|NAME", help="Which keys change, and to what; or a shipped one.")
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Trials of the whole study, earlier ones too.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder; sweeps/<recipe name> without.")
@click.option("--storage", metavar="PATH|URL", help="Journal or database that several machines share; in DIR without.")
@click.option("--study", metavar="NAME", help="Name in the storage; that of the recipe without.")
@click.option("--workers", type=click.IntRange(min=1), default=1, metavar="N", help="Processes on this machine.")
@click.option("--monitor", metavar="SCALAR", help="What is to be best; what the recipe's checkpoints go by without.")
@click.option("--sampler", type=click.Choice(SAMPLERS), default="tpe", show_default=True, help="How values are drawn.")
@click.option(
    "--pruner", type=click.Choice(PRUNERS), default="median", show_default=True, help="Ends poor trials early."
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of the sampler; the recipe's without.")
@click.option(
    "--lost-after",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Silence after which the trial of another process is taken over.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--worker", is_flag=True, hidden=True, help="Train only; a process of --workers.")
def sweep(workers: int, as_json: bool, worker: bool, **given: Any) -> None:
    """Train a recipe many times with other values, and keep the best.

    FILE has a line for each key: a list of values, or a range such as {low: 1e-4, high: 1e-2, log: true}. Stopped at
    any moment, the same command goes on; given on several machines with one --storage, they share the trials.
    DIR gets a run directory for each trial, the best recipe, a table and figures.
    """
    from stem_sweeps.plan import Request, prepare

    request = Request(**given)
    with redirect_stdout(sys.stderr):
        plan = prepare(request)
        _train(plan, request, workers, worker)
    if not worker:
        _finish(plan, as_json)


def _train(plan: Plan, request: Request, workers: int, worker: bool) -> None:
    from stem_sweeps.crew import work_together
    from stem_sweeps.report import write
    from stem_sweeps.work import work
    from stemcore import Interrupted

    try:
        if workers > 1:
            work_together(plan, _arguments(plan, request), workers)
        else:
            work(plan)
    except Interrupted:
        if not worker:
            write(plan)
        raise


def _arguments(plan: Plan, request: Request) -> list[str]:
    """The command for one worker."""
    context = click.get_current_context()
    options = {
        "--space": request.space,
        "--trials": plan.study.trials,
        "--output": plan.output,
        "--storage": plan.study.store.given,
        "--study": plan.study.optuna.study_name,
        "--monitor": plan.monitor,
        "--sampler": request.sampler,
        "--pruner": request.pruner,
        "--seed": plan.study.seed,
        "--lost-after": request.lost_after,
    }
    quiet = ["--quiet"] if context.meta.get("stemcore.quiet") else []
    pairs = [f"{name}={value}" for name, value in options.items()]
    return [*pairs, *quiet, "--worker", "--", request.recipe, *request.overrides]


def _finish(plan: Plan, as_json: bool) -> None:
    """Writes and prints the results."""
    from stem_sweeps import report
    from stemcore import TrainingFailed

    written = report.write(plan)
    if not report.ranked(plan):
        failed = [t.user_attrs["failure"] for t in plan.study.finished() if "failure" in t.user_attrs]
        reason = f"the first said: {failed[0]}" if failed else "all were pruned"
        raise TrainingFailed(f"none of {plan.study.trials} trials was trained to its end; {reason}")
    if as_json:
        click.echo(json.dumps(report.document(plan, written), indent=2))
        return
    ended = ", ".join(f"{count} {state}" for state, count in report.counts(plan).items() if count)
    click.echo(f"{plan.output}: {ended}")
    rows = report.rows(plan)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for path in written.values():
        click.echo(str(path))
