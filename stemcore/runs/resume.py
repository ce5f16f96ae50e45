"""Going on with a run: which checkpoint, and which settings may still change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stemcore.assemble.inner import inner_runs, trouble_with
from stemcore.assemble.sources import open_sources
from stemcore.component.dataset import Dataset
from stemcore.errors import Problem, UserError
from stemcore.recipe import Component, Recipe
from stemcore.recipe.load import changed_recipe, is_ladder, read_recipe
from stemcore.runs.directory import CHECKPOINTS, ENVIRONMENT, RECIPE

HARMLESS = (
    "name",
    "requires",
    "loggers",
    "figures",
    "callbacks",
    "data.cache",
    "data.num_workers",
    "data.pin_memory",
    "data.persistent_workers",
    "trainer.profile",
    "trainer.log_every_n_steps",
    "trainer.checkpoint.every_n_epochs",
    "trainer.checkpoint.every_n_steps",
)
ELSEWHERE = ("trainer.devices", "trainer.num_nodes", "trainer.strategy")
"""On what a run is trained. The trainer sees to it that its batches, over all devices, stay what they were."""
SHARE = "data.batch_size"
LENGTH = "trainer.max_epochs"
TYPE = "model.type"
APPLIED = ("model", "data.eval_batch_size")
"""What overrides may change where a run is applied; whether its weights still fit is seen when they are loaded."""


def locate(given: str | Path, prefer: Sequence[str]) -> tuple[Path, Path]:
    """The run directory and the checkpoint behind ``--resume`` or ``--init-from``, which take either.

    Args:
        given: a run directory or a checkpoint.
        prefer: names of checkpoints, the first that is there is taken from a run directory.

    Raises:
        UserError: if there is no run, or no checkpoint in it.
    """
    path = Path(given)
    if path.is_file():
        folder = path.parent.parent if path.parent.name == CHECKPOINTS else path.parent
        return folder, path
    if holds_stages(path):
        raise UserError("it holds the stages of a ladder", where=str(path), hint="give one, a folder in it")
    if holds_folds(path):
        raise UserError(
            "it holds the folds of a cross-validation, each a run", where=str(path), hint=f"give one, {path / 'fold0'}"
        )
    if not (path / CHECKPOINTS).is_dir():
        what = "it holds no run" if path.is_dir() else "there is no such run or checkpoint"
        raise UserError(what, where=str(path), hint=f"give a directory with {CHECKPOINTS}/ in it, or a .ckpt file")
    for name in prefer:
        if (path / CHECKPOINTS / name).is_file():
            return path, path / CHECKPOINTS / name
    raise UserError("the run has no checkpoint", where=str(path / CHECKPOINTS), hint="start it anew")


def holds_folds(path: Path) -> bool:
    """Whether a directory is that of a cross-validation."""
    if not (path / RECIPE).is_file() or (path / CHECKPOINTS).is_dir():
        return False
    return not is_ladder(path / RECIPE) and read_recipe(path / RECIPE).data.every_fold


def holds_stages(path: Path) -> bool:
    """Whether a directory is that of a ladder."""
    return (path / RECIPE).is_file() and not (path / CHECKPOINTS).is_dir() and is_ladder(path / RECIPE)


def fold_folders(directory: Path, recipe: Recipe) -> list[Path]:
    """Where the run of each fold of a cross-validation is."""
    return [directory / f"fold{k}" for k in range(recipe.data.folds or 0)]


def refuse_changed_data(dataset: Dataset, fingerprint: str | None) -> None:
    """Raises ``UserError`` if data are no longer those that had this fingerprint when a run was started."""
    if fingerprint != dataset.fingerprint():
        raise UserError(
            "the data have changed since the run was started",
            where=", ".join(str(f) for f in dataset.files),
            hint="resuming needs the very same files; --init-from starts a new run with the weights",
        )


def recipe_of_folds(directory: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe of a cross-validation that is to go on, with overrides that leave its result as it would have been.

    Raises:
        UserError: for each override that would change the result; if the data have changed since its first fold.
    """
    recipe = recipe_of(directory, overrides)
    before, after = read_recipe(directory / RECIPE).trainer.max_epochs, recipe.trainer.max_epochs
    if before != after:
        message = f"it is {before} in the folds that have finished and {after} now"
        raise UserError(message, where=LENGTH, hint="start a new cross-validation")
    known = fold_folders(directory, recipe)[0] / ENVIRONMENT
    if known.is_file():
        sources = open_sources(recipe)
        try:
            refuse_changed_data(
                sources.train.dataset, json.loads(known.read_text(encoding="utf-8"))["data"]["fingerprint"]
            )
        finally:
            sources.close()
    return recipe


def recipe_of(directory: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a run, with overrides that leave its result as it would have been.

    What was deprecated when the run was started was warned of then.

    Raises:
        UserError: for each override that would change the result.
    """
    path = directory / RECIPE
    if not path.is_file():
        raise UserError("it holds no run", where=str(directory), hint=f"a run directory has a {RECIPE}")
    own = read_recipe(path)
    _follow_moved_runs(own, directory)
    if not overrides:
        return own
    wanted = changed_recipe(own, path, overrides)
    _follow_moved_runs(wanted, directory)
    problems = refusals(own, wanted)
    if problems:
        raise UserError(*problems)
    return wanted


def refusals(own: Recipe, wanted: Recipe) -> list[Problem]:
    """What of the changes between a run's recipe and the one that it is to go on with would change its result."""
    moved_runs = _moved_runs(own, wanted)
    changed = {k: v for k, v in changes(own.document(), wanted.document()) if k not in moved_runs}
    fixed_length = own.scheduler is not None or any(isinstance(t.weight, Component) for t in own.losses.values())
    problems: list[Problem] = []
    moved = any(key in changed for key in ELSEWHERE)
    for key, (before, after) in changed.items():
        if key in ELSEWHERE or (key == SHARE and moved):
            continue
        if key == LENGTH and not fixed_length and after > before:
            continue
        if key == LENGTH:
            hint = "the schedules depend on the length of the run: start a new run with --init-from"
        else:
            hint = "start a new run, with --init-from to keep the weights"
        if not _among(key, HARMLESS):
            problems.append(
                Problem(f"it is {before!r} in the run and {after!r} now, which would change the result", key, hint)
            )
    return problems


def recipe_applied(directory: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a run that is applied to data, with overrides of its model.

    Raises:
        UserError: for each override that would change anything else.
    """
    own = recipe_of(directory)
    if not overrides:
        return own
    wanted = changed_recipe(own, directory / RECIPE, overrides)
    _follow_moved_runs(wanted, directory)
    moved_runs = _moved_runs(own, wanted)
    keys = [key for key, _ in changes(own.document(), wanted.document()) if key not in moved_runs]
    changed = [key for key in keys if key == TYPE or not _among(key, (*APPLIED, "requires"))]
    hint = "where a run is applied, overrides are for model.KEY and data.eval_batch_size alone"
    problems = [Problem("it was settled when the run was trained", key, hint) for key in changed]
    if problems:
        raise UserError(*problems)
    return wanted


def _follow_moved_runs(recipe: Recipe, directory: Path) -> None:
    """Where a folder was moved or copied with all the runs in it, those that others use are found beside them again."""
    path = directory / ENVIRONMENT
    known = json.loads(path.read_text(encoding="utf-8")).get("runs", {}) if path.is_file() else {}
    for place, reference in inner_runs(recipe).items():
        if place in known and not reference.given.exists() and known[place]["path"] == str(reference.given):
            reference.move(Path(os.path.normpath(directory.absolute() / known[place]["relative"])))


def _moved_runs(own: Recipe, wanted: Recipe) -> set[str]:
    """The keys of runs that components use and that are to be found elsewhere than they were.

    Raises:
        UserError: if one of them is not there, or is another run.
    """
    before, after = inner_runs(own), inner_runs(wanted)
    problems, moved = [], set()
    for place in before.keys() & after.keys():
        if before[place] == after[place]:
            continue
        if (trouble := trouble_with(after[place], place)) is not None:
            problems.append(trouble)
            continue
        known = before[place].document().get("sha256")
        if known not in (None, after[place].sha256):
            message = f"{after[place].given} is another run than the one that was trained with"
            problems.append(Problem(message, place, f"give that one (SHA-256 {known[:12]}...), wherever it is now"))
        moved |= {place, f"{place}.path"}
    if problems:
        raise UserError(*problems)
    return moved


def _among(key: str, wanted: Sequence[str]) -> bool:
    return any(key == k or key.startswith(k + ".") for k in wanted)


def changes(before: Any, after: Any, place: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The keys that differ between two recipes as plain data, each with what it was and what it is."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from changes(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
    elif before != after:
        yield place, (before, after)
