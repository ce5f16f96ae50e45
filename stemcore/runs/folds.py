"""Cross-validation: a run for each fold of the data, and what they come to together."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcore.component.command import is_first_process
from stemcore.errors import Interrupted, TrainingFailed
from stemcore.files import write_text
from stemcore.progress import Reporter
from stemcore.recipe import Recipe
from stemcore.runs import directory as files
from stemcore.runs.apply import Run, load_run
from stemcore.runs.resume import fold_folders, recipe_of_folds

TABLE = "folds.csv"
Start = Callable[..., Run]
"""Trains a recipe in a directory, with the options of a cross-validation as keywords."""
Resume = Callable[[Path, Sequence[str], Reporter], Run]
"""Goes on with a run, with overrides."""


@dataclass(frozen=True)
class Folds:
    """The runs of a cross-validation.

    Attributes:
        directory: where they are, in folders ``fold0``, ``fold1``, ... of their own.
        recipe: what was trained.
    """

    directory: Path
    recipe: Recipe

    @property
    def runs(self) -> list[Run]:
        """The run of each fold.

        Raises:
            UserError: if one of them has not begun.
        """
        return [load_run(folder) for folder in fold_folders(self.directory, self.recipe)]

    @property
    def summary(self) -> dict[str, Any]:
        """Contents of ``summary.json``: as that of a run, ``final`` and ``best`` being means over the folds. ``std``
        has their standard deviations (with n - 1), ``folds`` what each of them comes to."""
        contents: dict[str, Any] = json.loads((self.directory / files.SUMMARY).read_text(encoding="utf-8"))
        return contents

    @property
    def table(self) -> Path:
        """``folds.csv``: a row for each fold, with its final and its best metrics."""
        return self.directory / TABLE

    @property
    def figures(self) -> list[Path]:
        """The pictures of all runs."""
        return [figure for run in self.runs for figure in run.figures]


def cross_validate(
    recipe: Recipe, directory: Path, options: Mapping[str, Any], reporter: Reporter, start: Start, resume: Resume
) -> Folds:
    """Trains a run for each fold.

    Args:
        recipe: with ``data.folds``, ``data.fold`` being null.
        directory: where to; it is empty or not there.
        options: how each run is started, plain data, kept for :func:`go_on`.
        reporter: progress.
        start, resume: train one.

    Raises:
        UserError, TrainingFailed, Interrupted: as of a run; what a fold has left stays, if one has ended an epoch.
    """
    first = is_first_process()
    if first:  # the others of a job begin when it has written something already
        files.refuse_occupied(directory)
    with files.undone_if_wrong(directory):
        if first:
            files.claim(directory)
            _summarize(directory, recipe, options, "running")
            write_text(directory / files.RECIPE, recipe.to_yaml())
        return _train(recipe, directory, options, (), reporter, start, resume)


def go_on(directory: Path, overrides: Sequence[str], reporter: Reporter, start: Start, resume: Resume) -> Folds:
    """Trains what a cross-validation lacks: runs that have finished are kept, one that was interrupted goes on.

    Args:
        directory: of the cross-validation.
        overrides: that leave its result as it would have been.
        reporter: progress.
        start, resume: train one.

    Raises:
        UserError: for each override that would change the result; if the data have changed.
    """
    recipe = recipe_of_folds(directory, overrides)
    options = Folds(directory, recipe).summary["options"]
    return _train(recipe, directory, options, overrides, reporter, start, resume)


def _train(
    recipe: Recipe,
    directory: Path,
    options: Mapping[str, Any],
    overrides: Sequence[str],
    reporter: Reporter,
    start: Start,
    resume: Resume,
) -> Folds:
    status, reason, fold = "failed", None, 0
    places = fold_folders(directory, recipe)
    done = [_summary_of(folder)["status"] == "finished" for folder in places]
    try:
        with reporter.task("folds", len(places), done=sum(done)) as task:
            for fold, folder in enumerate(places):
                if done[fold]:
                    continue
                if (folder / files.CHECKPOINTS).is_dir():
                    resume(folder, overrides, reporter)
                else:
                    if is_first_process():
                        shutil.rmtree(folder, ignore_errors=True)  # a run killed before its first checkpoint
                    config = recipe.data.model_copy(update={"fold": fold})
                    start(replace(recipe, data=config), folder, reporter=reporter, **options)
                _note(directory, recipe, options, "running")
                task.advance()
        status = "finished"
    except (Interrupted, KeyboardInterrupt) as error:
        status, reason = "interrupted", f"interrupted in fold {fold}"
        again = f"go on with: stem run {directory / files.RECIPE} --resume {directory}"
        raise Interrupted(f"{reason}; {again}") from error
    except TrainingFailed as error:
        reason = f"fold {fold}: {error}"
        raise TrainingFailed(reason) from error
    except BaseException as error:
        reason = f"fold {fold}: {type(error).__name__}: {error}"
        raise
    finally:
        _note(directory, recipe, options, status, reason)
    return Folds(directory, recipe)


def _note(directory: Path, recipe: Recipe, options: Mapping[str, Any], status: str, reason: str | None = None) -> None:
    if is_first_process():
        _summarize(directory, recipe, options, status, reason)
        write_text(directory / TABLE, _table(Folds(directory, recipe).summary["folds"]))


def _summarize(
    directory: Path, recipe: Recipe, options: Mapping[str, Any], status: str, reason: str | None = None
) -> None:
    """Writes ``summary.json`` from those of the runs that there are; the means are over those that have finished."""
    places = fold_folders(directory, recipe)
    folds = [{"fold": k, "directory": p.name, **found} for k, p in enumerate(places) if (found := _summary_of(p, {}))]
    finished = [fold for fold in folds if fold["status"] == "finished"]
    final = _statistics([f["final"] for f in finished])
    best = _statistics([{n: b["value"] for n, b in f["best"].items()} for f in finished])
    epochs = _statistics([{n: float(b["epoch"]) for n, b in f["best"].items()} for f in finished])
    seconds = sum(f["wall_seconds"] for f in folds)
    items = sum((f["items_per_second"] or 0.0) * f["wall_seconds"] for f in folds)
    summary = {
        "status": status,
        "reason": reason,
        "epochs": sum(f["epochs"] for f in folds),
        "steps": sum(f["steps"] for f in folds),
        "final": {name: mean for name, (mean, _) in final.items()},
        "best": {name: {"value": mean, "epoch": epochs[name][0]} for name, (mean, _) in best.items()},
        "std": {
            "final": {name: std for name, (_, std) in final.items()},
            "best": {name: std for name, (_, std) in best.items()},
        },
        "parameters": folds[0]["parameters"] if folds else None,
        "wall_seconds": round(seconds, 3),
        "items_per_second": round(items / seconds, 3) if seconds > 0 else None,
        "folds": folds,
        "options": dict(options),
    }
    write_text(directory / files.SUMMARY, json.dumps(summary, indent=2) + "\n")


def _summary_of(folder: Path, otherwise: Mapping[str, Any] = {"status": "missing"}) -> Mapping[str, Any]:
    path = folder / files.SUMMARY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else otherwise


def _statistics(folds: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float | None]]:
    """Mean and standard deviation of each value that all folds have; no deviation of a single one."""
    shared = [name for name in (folds[0] if folds else {}) if all(name in fold for fold in folds)]
    found: dict[str, tuple[float, float | None]] = {}
    for name in shared:
        values = np.array([fold[name] for fold in folds], np.float64)
        found[name] = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None
    return found


def _table(folds: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        {
            **{key: fold[key] for key in ("fold", "status", "wall_seconds")},
            **fold["final"],
            **{f"best {name}": best["value"] for name, best in fold["best"].items()},
            **{f"epoch of best {name}": best["epoch"] for name, best in fold["best"].items()},
        }
        for fold in folds
    ]
    text = io.StringIO()
    columns = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(columns) or ["fold"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
