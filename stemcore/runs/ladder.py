"""A ladder: stages run one after the other, each in a folder of its own; what has finished is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from stemcore.component.command import is_first_process
from stemcore.files import write_text
from stemcore.progress import Reporter
from stemcore.recipe.stages import LadderRecipe, VerbStage
from stemcore.runs import directory as files
from stemcore.runs.apply import Run, load_run
from stemcore.runs.folds import Folds
from stemcore.runs.ladder_check import check_stages
from stemcore.runs.ladder_climb import Climb, Train, is_worth_keeping
from stemcore.runs.ladder_plan import DONE, TODO, Step, contents, plan
from stemcore.runs.resume import holds_folds

log = logging.getLogger("stemcore")


@dataclass(frozen=True)
class Ladder:
    """The stages of a ladder.

    Attributes:
        directory: where they are, each in a folder of its name.
        recipe: what was run.
    """

    directory: Path
    recipe: LadderRecipe

    @property
    def stages(self) -> dict[str, Run | Folds | Path]:
        """What each stage has left: a run, the folds of a cross-validation, or what a verb has written.

        Raises:
            UserError: if a stage that trains has not begun.
        """
        return {name: self._left(name) for name in self.recipe.stages}

    def _left(self, name: str) -> Run | Folds | Path:
        stage, folder = self.recipe.stages[name], self.directory / name
        if isinstance(stage, VerbStage):
            return stage.leaves(folder)
        return Folds(folder, stage.recipe) if holds_folds(folder) else load_run(folder)

    @property
    def summary(self) -> dict[str, Any]:
        """Contents of ``summary.json``: ``status``, ``reason``, ``wall_seconds`` and, under ``stages``, what became of
        each: its status, its seconds, and the final and the best value of its metrics."""
        return contents(self.directory)

    @property
    def figures(self) -> list[Path]:
        """The pictures of all runs."""
        return [figure for left in self.stages.values() if not isinstance(left, Path) for figure in left.figures]


def climb(ladder: LadderRecipe, directory: Path, *, trial: bool, reporter: Reporter, train: Train) -> Ladder:
    """Runs the stages of a ladder that have not finished.

    Args:
        ladder: what to run.
        directory: where: a new one, or that of the same ladder.
        trial: whether each stage trains on two batches alone.
        reporter: progress, which shows the plan first.
        train: trains a recipe.

    Raises:
        UserError: if a stage has been run from another recipe, or its input is wrong.
        TrainingFailed, Interrupted: as of a run; the stages before are kept.
    """
    new = not (directory / files.RECIPE).exists()
    steps = plan(ladder, directory, trial=trial)
    done = [step.stage.name for step in steps if step.state == DONE]
    check_stages(ladder, directory, done, to_do=[step.stage.name for step in steps if step.state == TODO])
    for line in shown(steps):
        reporter.say(line)
    with files.undone_if_wrong(directory, is_worth_keeping) if new else nullcontext():
        if is_first_process():
            if new:
                files.claim(directory)
            write_text(directory / files.RECIPE, ladder.to_yaml())
        with files.remembering() as earlier, _logging(directory, earlier):
            log.info("%s in %s", ladder.name, directory)
            Climb(ladder, directory, steps, trial=trial, reporter=reporter, train=train).run()
    return Ladder(directory, ladder)


def _logging(directory: Path, earlier: MemoryHandler) -> AbstractContextManager[None]:
    return files.logging_to(directory, earlier) if is_first_process() else nullcontext()


def shown(steps: Sequence[Step]) -> list[str]:
    """The plan as lines of a table."""
    rows = [
        ("stage", "what", "reads", "state"),
        *((step.stage.name, step.stage.about, ", ".join(step.stage.reads) or "-", step.shown) for step in steps),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
