"""Running the stages of a ladder, and writing down what became of each."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from stemcore.component.command import is_first_process
from stemcore.errors import Interrupted, TrainingFailed
from stemcore.files import write_text
from stemcore.progress import Reporter
from stemcore.recipe.stages import LadderRecipe, RecipeStage, VerbStage
from stemcore.runs import directory as files
from stemcore.runs.ladder_check import of_stage
from stemcore.runs.ladder_plan import BEGUN, DONE, TODO, Step, contents
from stemcore.runs.ladder_verbs import as_if_called, call
from stemcore.trainer.processes import alone, one_of_several

Train = Callable[..., Any]
"""Trains a recipe, as :func:`stemcore.run` does."""
PRINTED = "stdout.txt"
POLL_SECONDS = 0.2


def is_worth_keeping(directory: Path) -> bool:
    """Whether a stage of a ladder has finished, or has trained for an epoch."""
    records = contents(directory).get("stages", {})
    return any(r["status"] == DONE or contents(directory / name).get("epochs") for name, r in records.items())


class Climb:
    """The stages of a ladder on their way.

    Args:
        ladder: what is run.
        directory: where.
        steps: what of it is done and what is to do.
        trial: whether each stage trains on two batches alone.
        reporter: progress.
        train: trains a recipe.
    """

    def __init__(
        self,
        ladder: LadderRecipe,
        directory: Path,
        steps: Sequence[Step],
        *,
        trial: bool,
        reporter: Reporter,
        train: Train,
    ) -> None:
        self.ladder, self.directory, self.steps, self.trial = ladder, directory, steps, trial
        self.reporter, self.train = reporter, train
        self.places = ladder.places(directory.absolute())
        self.records: dict[str, dict[str, Any]] = {s.stage.name: dict(s.record) or {"status": TODO} for s in steps}
        self.spent, self.started = contents(directory).get("wall_seconds", 0.0), time.monotonic()

    def run(self) -> None:
        """Runs what is to do, and writes down how it ended, whichever way it does."""
        status, reason, name = "failed", None, ""
        done = sum(step.state == DONE for step in self.steps)
        try:
            with _terminable(), self.reporter.task("stages", len(self.steps), done=done) as task:
                for step in self.steps:
                    name = step.stage.name
                    if step.state != DONE:
                        self._run(step)
                        task.advance()
                    elif self.records[name]["status"] != DONE:  # killed in the moment between the two
                        ended = contents(step.folder)
                        self._finished(name, {"seconds": ended.get("wall_seconds", 0.0), **_headline(ended)})
            status = DONE
        except (Interrupted, KeyboardInterrupt) as error:
            status, reason = "interrupted", f"interrupted in stage {name}"
            again = f"stem run {self.directory / files.RECIPE} --resume {self.directory}"
            raise Interrupted(f"{reason}; go on with: {again}") from error
        except TrainingFailed as error:
            reason = f"stage {name}: {error}"
            raise TrainingFailed(reason, everywhere=error.everywhere) from error
        except BaseException as error:
            reason = f"stage {name}: {type(error).__name__}: {error}"
            raise
        finally:
            if status != DONE and name:
                self.records[name]["status"] = status
            self._note(status, reason)

    def _run(self, step: Step) -> None:
        stage, record = step.stage, self.records[step.stage.name]
        read = {name: self.records[name].get("ended") for name in stage.reads}
        record |= {"status": "running", "trial": self.trial, "read": read, "job": _job()}
        before, threads = record.get("seconds", 0.0), torch.get_num_threads()
        started = time.monotonic()
        self._note("running")
        if step.fresh and is_first_process():
            shutil.rmtree(step.folder)
        try:
            with of_stage(stage.name):
                found = self._trained(step, stage) if isinstance(stage, RecipeStage) else self._called(step, stage)
        finally:
            torch.set_num_threads(threads)  # several processes have shared them
            record["seconds"] = round(before + time.monotonic() - started, 3)
        self._finished(stage.name, found)

    def _finished(self, name: str, found: Mapping[str, Any]) -> None:
        if not is_first_process():
            self._wait(name)
            return
        self.records[name] |= {**found, "status": DONE, "ended": datetime.now().astimezone().isoformat()}
        self._note("running")

    def _trained(self, step: Step, stage: RecipeStage) -> dict[str, Any]:
        """Trains a stage, or goes on with it."""
        recipe = stage.on(self.places)
        options: dict[str, Any] = {"output": step.folder, "fast_dev_run": self.trial}
        if step.state == BEGUN:
            options = {"resume": step.folder, "overrides": step.overrides}
        with self._alone(recipe.to_yaml(), step):
            left = self.train(recipe, reporter=self.reporter, **options)
        return _headline(left.summary)

    @contextmanager
    def _alone(self, recipe: str, step: Step) -> Iterator[None]:
        """Further processes of a stage run that stage alone, and end with it; those of torchrun and SLURM stay."""
        if one_of_several():
            yield
            return
        file = self.directory / f".{step.stage.name}.yaml"
        way = "--resume" if step.state == BEGUN else "--output"
        trial = ["--fast-dev-run"] if self.trial else []
        write_text(file, recipe)
        try:
            with as_if_called("run", str(file), *step.overrides, way, str(step.folder), *trial):
                yield
        finally:
            file.unlink(missing_ok=True)

    def _called(self, step: Step, stage: VerbStage) -> dict[str, Any]:
        """Calls a verb in the first process, while others wait."""
        if not is_first_process():
            return {}
        step.folder.mkdir(exist_ok=True)
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(self.ladder.seed)  # what it draws does not depend on the stages that have run in this process
        with alone():
            call(stage, step.folder, self.places, step.folder / PRINTED)
        if not self.places[stage.name].exists():
            raise TrainingFailed(f"'{stage.verb}' has left no {self.places[stage.name]}")
        return {"left": str(self.places[stage.name].relative_to(self.directory.absolute()))}

    def _wait(self, name: str) -> None:
        """Waits until the first process has written down that a stage has finished."""
        while True:
            record = contents(self.directory).get("stages", {}).get(name, {})
            if record.get("status") == DONE and self.places[name].exists():
                return
            if record.get("status") in ("failed", "interrupted") and record.get("job") == _job() != "":
                raise TrainingFailed(f"the first process has not finished stage {name}", everywhere=True)
            time.sleep(POLL_SECONDS)

    def _note(self, status: str, reason: str | None = None) -> None:
        if not is_first_process():
            return
        summary = {
            "name": self.ladder.name,
            "status": status,
            "reason": reason,
            "wall_seconds": round(self.spent + time.monotonic() - self.started, 3),
            "options": {"fast_dev_run": self.trial},
            "stages": self.records,
        }
        write_text(self.directory / files.SUMMARY, json.dumps(summary, indent=2, default=str) + "\n")


def _headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {key: summary.get(key) for key in ("epochs", "monitor", "final", "best")}


def _job() -> str:
    """What tells a job of SLURM from earlier ones. (torchrun ends all processes where one fails.)"""
    return ".".join(os.environ.get(f"SLURM_{name}", "") for name in ("JOB_ID", "STEP_ID", "RESTART_COUNT")).strip(".")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends what runs as Ctrl-C does; a run in it hears of the signal itself, and stops between two steps."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
