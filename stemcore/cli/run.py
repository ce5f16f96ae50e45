"""``stem run`` and ``stem validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore.cli import completion
from stemcore.cli.output import number, show, show_table, stdout_kept_clean
from stemcore.component.command import reporter
from stemcore.progress import duration

if TYPE_CHECKING:
    from stemcore import Folds, Ladder, Run

_recipe = click.argument("recipe", shell_complete=completion.recipes)
_overrides = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completion.overrides)
_path = click.Path(path_type=Path)
_checkpoints = completion.runs_and_checkpoints


@click.command()
@_recipe
@_overrides
@click.option("--output", type=_path, metavar="DIR", help="Where to write the run.")
@click.option(
    "--resume", type=_path, shell_complete=_checkpoints, metavar="RUN|CKPT", help="Go on with an unfinished run."
)
@click.option(
    "--init-from", type=_path, shell_complete=_checkpoints, metavar="RUN|CKPT", help="Begin with its weights."
)
@click.option("--fast-dev-run", is_flag=True, help="A few batches of training and validation: does it all work?")
@click.option(
    "--overfit-batches",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Train and validate on the same N batches: can it learn?",
)
def run(
    recipe: str,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: Path | None,
    init_from: Path | None,
    fast_dev_run: bool,
    overfit_batches: int,
) -> None:
    """Train what a recipe describes.

    RECIPE is a YAML file or the name of a shipped recipe ('stem recipes'). KEY=VALUE changes one of its values, such
    as model.latent_dim=64. The run directory, its scores and its figures are printed at the end. With data.folds=5 five
    runs are trained, each validated on another fifth of the data; the means of their scores are printed.

    Where the recipe has stages, they are run one after the other, each in a folder of its own; what is done and what is
    to do is shown first. Stages that have finished in --output or --resume are kept.
    """
    with stdout_kept_clean():
        from stemcore import run as train

        trained = train(
            recipe,
            overrides=overrides,
            output=output,
            resume=resume,
            init_from=init_from,
            fast_dev_run=fast_dev_run,
            overfit_batches=overfit_batches,
            reporter=reporter(),
        )
    _show_run(trained)


@click.command()
@_recipe
@_overrides
@click.option("--resolved", is_flag=True, help="Print the recipe with everything inherited and defaulted written out.")
def validate(recipe: str, overrides: tuple[str, ...], resolved: bool) -> None:
    """Check a recipe without training.

    Every mistake is reported at once, each with its file and line; the model is run once on tensors without data, so
    that names and shapes are checked too.
    """
    with stdout_kept_clean():
        from stemcore.assemble import check
        from stemcore.recipe import Recipe
        from stemcore.recipe.load import load
        from stemcore.runs.ladder_check import check_ladder
        from stemcore.runs.resume import holds_stages

        checked = load(recipe, overrides)
        if isinstance(checked, Recipe):
            facts = check(checked)
        else:
            folder = Path(recipe).parent
            facts = check_ladder(checked, folder if holds_stages(folder) else None)
    if resolved:
        show(checked.to_yaml().rstrip("\n"))
        return
    show("\n".join([f"{recipe} is valid", *(f"  {fact}" for fact in facts)]))


def _show_run(trained: Run | Folds | Ladder) -> None:
    summary = trained.summary
    if "stages" in summary:
        _show_stages(trained.directory, summary)
        return
    if "folds" in summary:
        _show_folds(trained.directory, summary)
        return
    show(str(trained.directory))
    rate = f", {number(summary['items_per_second'])} items/s" if summary["items_per_second"] else ""
    reason = f"; {summary['reason']}" if summary["reason"] else ""
    epochs = f"{summary['epochs']} epoch{'' if summary['epochs'] == 1 else 's'}"
    show(f"{epochs} in {duration(summary['wall_seconds'])}{rate}{reason}")
    final, best = summary["final"], summary["best"]
    rows = [(name, number(final.get(name)), *_best(best.get(name))) for name in {**final, **best} if "/" in name]
    if rows:
        show_table(("metric", "final", "best", "epoch"), rows)
    for figure in trained.figures:
        show(str(figure))


def _show_folds(directory: Path, summary: dict[str, Any]) -> None:
    show(str(directory))
    rate = f", {number(summary['items_per_second'])} items/s" if summary["items_per_second"] else ""
    show(f"{len(summary['folds'])} folds, {summary['epochs']} epochs in {duration(summary['wall_seconds'])}{rate}")
    final, best, std = summary["final"], summary["best"], summary["std"]
    rows = [
        (
            name,
            *(number(values.get(name)) for values in (final, std["final"])),
            *(number(value) for value in (best.get(name, {}).get("value"), std["best"].get(name))),
        )
        for name in {**final, **best}
        if "/" in name
    ]
    show_table(("metric", "final", "std", "best", "std"), rows)
    show(str(directory / "folds.csv"))


def _show_stages(directory: Path, summary: dict[str, Any]) -> None:
    show(str(directory))
    show(f"{len(summary['stages'])} stages in {duration(summary['wall_seconds'])}")
    rows = [
        (name, str(directory / record.get("left", name)), duration(record["seconds"]), _score(record))
        for name, record in summary["stages"].items()
    ]
    show_table(("stage", "left", "time", "score"), rows)


def _score(record: dict[str, Any]) -> str:
    """The metric that a run was watched by."""
    name = record.get("monitor")
    final, best = (record.get("final") or {}).get(name), (record.get("best") or {}).get(name)
    if final is None:
        return ""
    return f"{name} {number(final)}" + (f", best {number(best['value'])}" if best is not None else "")


def _best(best: dict[str, Any] | None) -> tuple[str, str]:
    return ("", "") if best is None else (number(best["value"]), str(best["epoch"]))
