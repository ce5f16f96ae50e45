"""What of a ladder is done, what is to do, and what of its directory does not go with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError
from stemcore.recipe.load import read_ladder
from stemcore.recipe.stages import LadderRecipe, RecipeStage, Stage
from stemcore.runs import directory as files
from stemcore.runs.resume import LENGTH, changes, holds_folds, refusals

TODO, BEGUN, DONE = "to do", "begun", "finished"


@dataclass(frozen=True)
class Step:
    """A stage, and how far it has come.

    Attributes:
        stage: what is to be done.
        folder: where.
        state: ``to do``, ``begun`` (a run with a checkpoint, from which it goes on) or ``finished``.
        record: what the ladder's summary has of it.
        overrides: settings to go on with that leave its result as it would have been.
        fresh: whether what is in its folder is in the way.
    """

    stage: Stage
    folder: Path
    state: str = TODO
    record: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    fresh: bool = False

    @property
    def shown(self) -> str:
        """The state in words."""
        if self.state != BEGUN:
            return self.state
        epochs = contents(self.folder).get("epochs")
        return f"goes on after epoch {epochs}" if epochs else "goes on"


def contents(directory: Path) -> dict[str, Any]:
    """Contents of ``summary.json``; empty where there is none."""
    path = directory / files.SUMMARY
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def plan(ladder: LadderRecipe, directory: Path, *, trial: bool) -> list[Step]:
    """What is done of each stage and what is to do.

    Args:
        ladder: what is wanted.
        directory: of a ladder, or a new one.
        trial: whether its stages are cut short.

    Raises:
        UserError: for each stage that has been run from another recipe, or on what is no longer there.
    """
    before = read_ladder(directory / files.RECIPE) if (directory / files.RECIPE).is_file() else None
    records: Mapping[str, Any] = contents(directory).get("stages", {})
    places = ladder.places(directory)
    steps: dict[str, Step] = {}
    problems: list[Problem] = []
    stale: set[str] = set()
    for name, stage in ladder.stages.items():
        earlier = before.stages.get(name) if before is not None else None
        step = _step(stage, directory / name, records.get(name))
        if step.state == BEGUN and trial:  # two batches are sooner trained again
            step = Step(stage, step.folder, fresh=True)
        kept = {other: records[other].get("ended") for other in stage.reads if other not in stale}
        misfits = _misfits(step, earlier, kept, trial=trial)
        if misfits and step.state == TODO and step.record:  # nothing in it that could be lost
            misfits, step = [], Step(stage, step.folder, fresh=True)
        problems += misfits
        if misfits or step.state != DONE:
            stale.add(name)
        if step.state == BEGUN and not misfits and isinstance(earlier, RecipeStage):
            step = Step(stage, step.folder, BEGUN, step.record, _overrides(earlier, stage, places))
        steps[name] = step
    if problems:
        raise UserError(*problems)
    return list(steps.values())


def _step(stage: Stage, folder: Path, record: Mapping[str, Any] | None) -> Step:
    occupied = folder.is_dir() and any(folder.iterdir())
    if not occupied:
        return Step(stage, folder)
    known = record if record is not None and "read" in record else {}
    if isinstance(stage, RecipeStage):
        if contents(folder).get("status") == DONE:
            return Step(stage, folder, DONE, known)
        begun = (folder / files.CHECKPOINTS).is_dir() or holds_folds(folder)
        return Step(stage, folder, BEGUN, known) if begun else Step(stage, folder, record=known, fresh=bool(known))
    done = known.get("status") == DONE and stage.leaves(folder).exists()
    return Step(stage, folder, DONE if done else TODO, known)


def _misfits(step: Step, before: Stage | None, kept: Mapping[str, str | None], *, trial: bool) -> list[Problem]:
    """Why what is in a stage's folder is not what this ladder would leave there.

    Args:
        step: the stage.
        before: as it was when the ladder was last run.
        kept: of those that it reads, when each that stays as it is had ended.
        trial: whether stages are cut short.
    """
    stage, folder, record = step.stage, step.folder, step.record
    again = f"delete {folder} to run it again, or choose another --output"
    if not record and not (folder.is_dir() and any(folder.iterdir())):
        return []
    if not record or before is None:
        return [Problem("the folder holds something else than a stage of this ladder", str(folder), again)]
    if bool(record["trial"]) != trial:
        message = f"stages.{stage.name}: it was {'' if record['trial'] else 'not '}cut short by --fast-dev-run"
        return [Problem(message, str(folder), again)]
    others = [
        Problem(
            f"stages.{stage.name}: it was run on what stage '{other}' had left, which is to be another",
            str(folder),
            again,
        )
        for other in stage.reads
        if other not in kept or kept[other] != record["read"].get(other)
    ]
    return [*others, *_changes(step, before, again)]


def _changes(step: Step, before: Stage, again: str) -> list[Problem]:
    stage = step.stage
    was, now = before.document(), stage.document()
    if was == now:
        return []
    if isinstance(stage, RecipeStage) and isinstance(before, RecipeStage):
        keys = [problem.where for problem in refusals(before.recipe, stage.recipe)]
        keys += [LENGTH] if step.state == DONE and any(key == LENGTH for key, _ in changes(was, now)) else []
    else:
        keys = [key for key, _ in changes(was, now)]
    found = dict(changes(was, now))
    return [
        Problem(
            f"it was {found[key][0]!r} when the stage was run and is {found[key][1]!r} now",
            f"stages.{stage.name}.{key}",
            again,
        )
        for key in dict.fromkeys(keys)
        if key in found
    ]


def _overrides(before: RecipeStage, stage: Stage, places: Mapping[str, Path]) -> tuple[str, ...]:
    """The settings that have changed and leave the result as it is."""
    assert isinstance(stage, RecipeStage)
    found = changes(before.on(places).document(), stage.on(places).document())
    return tuple(f"{key}={json.dumps(now)}" for key, (_, now) in found if key != "requires")
