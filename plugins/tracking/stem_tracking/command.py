"""``stem runs``: what the runs of a folder came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from stem_tracking.run_folder import STATUSES
from stemcore import CommandGroup, UserError, complete_runs, show_json, show_table

DEFAULT = Path("runs")
OF_EVERY_VERB = ("-q", "--quiet", "--debug")


class _Runs(CommandGroup):
    """Lists where no verb is given: ``stem runs --sort val/loss`` is ``stem runs list --sort val/loss``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts ``list`` where a verb is missing."""
        asked = [arg for arg in args if arg not in OF_EVERY_VERB]
        named = asked and (asked[0] in self.commands or asked[0] in ctx.help_option_names)
        if not named and not (ctx.resilient_parsing and not asked):
            common = [arg for arg in args if arg in OF_EVERY_VERB]
            args = [*common, "list", *asked]
        return super().parse_args(ctx, args)


@click.group(cls=_Runs, subcommand_metavar="[list|compare|show] [ARGS]...")
def runs() -> None:
    """List, compare and show runs; without a verb, list those in 'runs'."""


def _json(function: Any) -> Any:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


@runs.command("list")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--sort", metavar="METRIC", help="Best first; also by started, epochs or seconds.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--metric", "metrics", multiple=True, metavar="METRIC", help="A column for it; may be given again.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Only runs whose recipe says so.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only runs that ended so.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N.")
@_json
def list_runs(path: Path | None, metrics: Sequence[str], as_json: bool, **options: Any) -> None:
    """List the runs in PATH and all folders below it, the newest first.

    'best' is the best value of what the run's checkpoints go by. The trials of a sweep stand together; a
    cross-validation is one run with the means of its folds, which stand below it.
    """
    from stem_tracking.listing import OTHER_KEYS, document, listed, table

    root = path or DEFAULT
    if path is not None and not path.is_dir():
        raise UserError(
            "there is no such folder", where=str(path), hint="give one that has runs, or list, compare, show"
        )
    found = listed(root, metrics=metrics, **options)
    if as_json:
        show_json({"root": str(root), "runs": [document(run) for run in found]})
        return
    if not found:
        click.echo(f"no runs in {root}")
        return
    sort = options["sort"]
    first = [sort] if sort is not None and sort not in OTHER_KEYS else []
    show_table(*table(found, list(dict.fromkeys([*first, *metrics]))))


@runs.command()
@click.argument("paths", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path), shell_complete=complete_runs)
@_json
def compare(paths: Sequence[Path], as_json: bool) -> None:
    """Print where the recipes of runs differ, and their metrics side by side."""
    from stem_tracking import about_runs as about

    if len(paths) < 2:
        raise UserError("a comparison needs two runs or more", hint="stem runs compare RUN RUN")
    found = about.opened(paths)
    recipe, environment = about.recipe_differences(found), about.environment_differences(found)
    metrics = about.metrics_beside(found)
    if as_json:
        names = [str(path) for path in paths]
        show_json({"runs": names, "recipe": recipe, "environment": environment, "metrics": metrics})
        return
    shown = {name: [about.figure(value) for value in row] for name, row in metrics.items()}
    sections = {"recipe": recipe, "environment": environment, "outcome": about.outcome(found), "best": shown}
    for number, (name, rows) in enumerate(sections.items()):
        if number:
            click.echo()
        _section(name, rows, paths)


def _section(name: str, rows: Mapping[str, Sequence[str]], paths: Sequence[Path]) -> None:
    if rows:
        show_table([name, *map(str, paths)], [[key, *row] for key, row in rows.items()])
    else:
        click.echo(f"{name}: the same in all")


@runs.command()
@click.argument("path", metavar="RUN", type=click.Path(path_type=Path), shell_complete=complete_runs)
@_json
def show(path: Path, as_json: bool) -> None:
    """Print what a run trained, how it went, its metrics and its files."""
    from stem_tracking import about_runs as about

    run = about.opened([path])[0]
    if as_json:
        show_json(about.shown(run))
        return
    show_table(["run", str(path)], about.facts(run))
    for columns, rows in (about.scores(run), _files(run)):
        if rows:
            click.echo()
            show_table(columns, rows)


def _files(run: Any) -> tuple[list[str], list[list[str]]]:
    from stem_tracking.about_runs import files, size

    return ["file", "size"], [[str(path), size(count)] for path, count in files(run)]
