"""From a recipe to jobs: everything is checked first, then written down, then submitted."""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stem_cluster import schedulers
from stem_cluster.array import overrides_of, read_array
from stem_cluster.recipes import CHECKED_WITH, Trained, as_the_recipe_says, check, devices_of, everywhere, load
from stem_cluster.record import FILE, Record, read
from stem_cluster.resources import Resources
from stem_cluster.script import CANCELLED, HISTORY, JOB, RECIPE, RESUBMITTED, SCRIPT, Plan
from stem_cluster.states import statuses
from stemcore import StemDeprecationWarning, UserError, write_atomically

ARRAY_SCRIPT = "array.sh"


@dataclass(frozen=True)
class Request:
    """What was typed; see the help of the command."""

    recipe: str
    overrides: tuple[str, ...]
    scheduler: str | None
    output: Path | None
    resume: Path | None
    array: str | None
    parallel: int | None
    resources: Resources
    setup: tuple[str, ...]
    most: int
    notice: int
    command: tuple[str, ...]


@dataclass(frozen=True)
class One:
    """A run to be submitted: its directory, its recipe, and its values in an array."""

    directory: Path
    recipe: Trained | None
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Submission:
    """Jobs that can be submitted.

    Attributes:
        plan: how they are started.
        runs: what they train.
        array: folder of the runs of an array; a run by itself has none.
        parallel: how many of an array may run at once.
        command: what was typed.
    """

    plan: Plan
    runs: list[One]
    array: Path | None
    parallel: int | None
    command: tuple[str, ...]

    def scripts(self) -> dict[Path, str]:
        """The text of each script by its path; that which is submitted comes first."""
        own = {one.directory / JOB / SCRIPT: self.plan.job(one.directory) for one in self.runs}
        if self.array is None:
            return own
        text = self.plan.array([one.directory for one in self.runs], self.parallel)
        return {self.array / JOB / ARRAY_SCRIPT: text, **own}

    def submit(self) -> list[Record]:
        """Writes recipes, scripts and records, and submits the jobs.

        Raises:
            UserError: if the scheduler refuses them; nothing is left behind then.
        """
        scripts = self.scripts()
        made = [folder for path in scripts for folder in _missing(path.parent)]
        try:
            for path in scripts:
                path.parent.mkdir(parents=True, exist_ok=True)
            for one in self.runs:
                _clear(one.directory / JOB)
                if one.recipe is not None:
                    _write(one.directory / JOB / RECIPE, one.recipe.to_yaml())
            for path, text in scripts.items():
                _write(path, text)
            number = schedulers.submit(self.plan.scheduler, next(iter(scripts)))
        except BaseException:
            for folder in reversed(made):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return [self._record(one, place, number) for place, one in enumerate(self.runs)]

    def _record(self, one: One, place: int, number: str) -> Record:
        record = Record(
            one.directory,
            self.plan.scheduler,
            schedulers.task(self.plan.scheduler, number, place) if self.array else number,
            datetime.now().astimezone().isoformat(timespec="seconds"),
            list(self.command),
            dict(one.values),
        )
        record.write()
        return record


def prepare(request: Request) -> Submission:
    """Checks a request and decides the run directories.

    Raises:
        UserError: with what is wrong with the recipe, the resources or the directories.
    """
    if request.parallel is not None and request.array is None:
        raise UserError("there is one job", where="--parallel", hint="leave it out, or give --array")
    scheduler = request.scheduler or schedulers.here()
    if request.resume is not None:
        recipe, runs = _to_go_on(request)
    else:
        recipe, runs = _anew(request)
    resources = as_the_recipe_says(request.resources, recipe)
    resources.refuse_unfit(scheduler, request.notice)
    plan = Plan(
        scheduler,
        f"stem-{re.sub(r'[^A-Za-z0-9_.-]', '-', recipe.name)}",
        resources,
        Path.cwd(),
        sys.executable,
        request.setup,
        request.most,
        request.notice,
    )
    above = runs[0].directory.parent if request.array else None
    return Submission(plan, runs, above, request.parallel, request.command)


def _anew(request: Request) -> tuple[Trained, list[One]]:
    given = [*request.overrides, *everywhere(request.recipe, devices_of(request.resources))]
    points = read_array(request.array) if request.array else [{}]
    recipes = _checked(request, given, points)
    output = (request.output or _default_output(recipes[0])).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            "the output exists and is not an empty directory",
            where=str(output),
            hint=f"choose another --output, or go on with its run: --resume {output}",
        )
    places = [output / str(k) for k in range(len(points))] if request.array else [output]
    return recipes[0], [One(*run) for run in zip(places, recipes, points, strict=True)]


def _checked(request: Request, given: Sequence[str], points: Sequence[Mapping[str, Any]]) -> list[Trained]:
    checked_with = everywhere(request.recipe, CHECKED_WITH)
    recipes: list[Trained] = []
    errors: list[UserError] = []
    for number, values in enumerate(points):
        with warnings.catch_warnings():
            if number:  # what is deprecated is said once
                warnings.simplefilter("ignore", StemDeprecationWarning)
            try:
                recipes.append(load(request.recipe, [*given, *overrides_of(values)]))
                warnings.simplefilter("ignore", StemDeprecationWarning)
                check(load(request.recipe, [*given, *overrides_of(values), *checked_with]))
            except UserError as error:
                errors.append(error)
    if errors:
        raise UserError(*dict.fromkeys(problem for error in errors for problem in error.problems))
    return recipes


def _to_go_on(request: Request) -> tuple[Trained, list[One]]:
    assert request.resume is not None
    directory = request.resume.absolute()
    for option, there in {"--output": request.output, "--array": request.array}.items():
        if there is not None:
            raise UserError(f"--resume goes on in the run's own directory and cannot be combined with {option}")
    if request.overrides:
        hint = "leave them out; those of --gpus, --tasks and --nodes are the recipe's"
        raise UserError("a run goes on as it was", where=" ".join(request.overrides), hint=hint)
    _refuse_at_work(directory)
    kept, own = directory / JOB / RECIPE, directory / RECIPE
    path = own if own.is_file() else kept
    if not path.is_file():
        raise UserError("it holds no run", where=str(directory), hint="give the directory of a run that was begun")
    recipe = load(path, ())
    return recipe, [One(directory, None if kept.is_file() else recipe, {})]


def _refuse_at_work(directory: Path) -> None:
    """Raises ``UserError`` if the run's job has not ended: two would write into one directory."""
    path = directory / JOB / FILE
    if not path.is_file():
        return
    status = statuses([read(path)])[0]
    if status.live:
        said = f"its job {status.record.current} is still {status.state}"
        raise UserError(said, where=str(directory), hint=f"wait for it, or cancel it: stem jobs {directory} --cancel")


def _default_output(recipe: Trained) -> Path:
    """``runs/<recipe name>/<time>``, as of ``stem run``; two submissions of one second get two folders."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path("runs") / recipe.name
    return next(
        folder / name for name in (stamp, *(f"{stamp}-{n}" for n in range(2, 1000))) if not (folder / name).exists()
    )


def _missing(folder: Path) -> list[Path]:
    """The folders, from above, that have to be made for this one."""
    return [above for above in reversed([folder, *folder.parents]) if not above.exists()]


def _clear(folder: Path) -> None:
    """Removes what an earlier job of the run has noted, which a new one would take for its own."""
    for name in (CANCELLED, HISTORY, RESUBMITTED):
        with suppress(FileNotFoundError):
            (folder / name).unlink()


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
