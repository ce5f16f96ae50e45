"""Checking the stages of a ladder before the first of them has run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stemcore.assemble import check, inner_runs
from stemcore.assemble.inner import verify_inner
from stemcore.assemble.sources import placed
from stemcore.errors import Problem, UserError
from stemcore.recipe import Component
from stemcore.recipe.stages import MARK, NOWHERE, LadderRecipe, RecipeStage, Stage, named, texts
from stemcore.runs.ladder_plan import DONE, contents
from stemcore.runs.ladder_verbs import check_verb


def check_ladder(ladder: LadderRecipe, directory: Path | None = None) -> list[str]:
    """Checks a ladder as far as it can be without reading items or training.

    Args:
        ladder: whose stages are each what they should be by themselves.
        directory: where it has been run, as far as that went.

    Returns:
        lines for people: each stage, and what was found out about it.

    Raises:
        UserError: with every problem of all stages.
    """
    records = contents(directory).get("stages", {}) if directory is not None else {}
    places = ladder.places(directory or Path())
    done = [name for name in places if records.get(name, {}).get("status") == DONE and places[name].exists()]
    facts = check_stages(ladder, directory or Path(), done, to_do=[*ladder.stages])
    return [line for name, found in facts.items() for line in (f"stage {name}", *(f"  {fact}" for fact in found))]


def check_stages(
    ladder: LadderRecipe, directory: Path, done: Collection[str], *, to_do: Collection[str]
) -> dict[str, list[str]]:
    """Facts on each stage that is to do: on one that trains as :func:`stemcore.assemble.check` has them if all that it
    reads is there.

    Args:
        ladder: the stages.
        directory: where they are run.
        done: those that have left their results.
        to_do: those that are checked.

    Raises:
        UserError: with every problem of all of them.
    """
    problems: list[Problem] = []
    facts: dict[str, list[str]] = {}
    for name in to_do:
        stage = ladder.stages[name]
        lacking = [other for other in stage.reads if other not in done]
        try:
            facts[name] = _facts(stage, ladder, directory, lacking)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return facts


def _facts(stage: Stage, ladder: LadderRecipe, directory: Path, lacking: list[str]) -> list[str]:
    if not isinstance(stage, RecipeStage):
        found = check_verb(stage)
        if found:
            raise UserError(*found)
        return [stage.about]
    if lacking:
        with of_stage(stage.name):
            _check_apart(stage)
        return [f"{stage.about}: its parts are checked against one another when there is {', '.join(lacking)}"]
    with of_stage(stage.name):
        return check(stage.on(ladder.places(directory)))


def _check_apart(stage: RecipeStage) -> None:
    """Raises ``UserError`` for runs and data sets that are wrong whatever earlier stages will leave."""
    given = inner_runs(stage.recipe)
    awaited = [place for place, run in given.items() if str(run.given).startswith(NOWHERE + MARK)]
    problems = [problem for place, problem in verify_inner(stage.recipe).items() if place not in awaited]
    data, written = stage.recipe.data, stage.tree.get("data")
    for part, component in (("train", data.train), ("val", data.val), ("test", data.test)):
        node = written.get(part) if written is not None else None
        reads = node is not None and any(named(text.value) is not None for text in texts(node))
        if reads or not isinstance(component, Component) or any(p.startswith(f"data.{part}.") for p in given):
            continue
        try:
            component.build().close()
        except UserError as error:
            problems += [placed(problem, component.where) for problem in error.problems]
    if problems:
        raise UserError(*problems)


@contextmanager
def of_stage(name: str) -> Iterator[None]:
    """Says of what is wrong in which stage it is."""
    try:
        yield
    except UserError as error:
        raise UserError(*(replace(p, message=f"stages.{name}: {p.message}") for p in error.problems)) from error
