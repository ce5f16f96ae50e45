"""Runs that components of a recipe use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stemcore.assemble.sources import placed
from stemcore.component.run_reference import RunReference
from stemcore.errors import Problem, UserError
from stemcore.recipe import Recipe
from stemcore.recipe.node import Place, dotted


def inner_runs(recipe: Recipe) -> dict[str, RunReference]:
    """The runs that components of a recipe are given, by their keys: ``model.autoencoder``."""
    return {dotted(place): reference for place, reference in _placed(recipe)}


def verify_inner(recipe: Recipe) -> dict[str, Problem]:
    """What is wrong with the runs that components are given, by their keys."""
    found = {place: trouble_with(reference, dotted(place)) for place, reference in _placed(recipe)}
    return {dotted(place): placed(problem, recipe.where(place)) for place, problem in found.items() if problem}


def trouble_with(reference: RunReference, key: str) -> Problem | None:
    """What is wrong with the run under a key, if anything is: it is not there, or has been trained on since."""
    try:
        reference.verify()
    except UserError as error:
        said = "; ".join(": ".join(filter(None, (p.where, p.message))) for p in error.problems)
        return Problem(f"{key}: {said}", hint=error.problems[0].hint)
    return None


def hashes(recipe: Recipe) -> dict[str, str]:
    """The SHA-256 of the checkpoint of each run that components are given, as it was when it was verified, by their
    keys."""
    return {place: reference.expected or reference.sha256 for place, reference in inner_runs(recipe).items()}


def refuse_other_inner(recipe: Recipe, trained_with: Mapping[str, str], where: str = "") -> None:
    """Raises ``UserError`` unless the runs that components are given are those of a checkpoint.

    Args:
        recipe: its recipe, as it is now.
        trained_with: what :func:`hashes` returned when the checkpoint was written.
        where: the checkpoint.
    """
    now = inner_runs(recipe)
    problems = []
    for place, known in trained_with.items():
        found = now[place].document().get("sha256") if place in now else None
        if found != known:
            named = f"{now[place].given} is another one" if place in now else "the recipe names none"
            message = f"it was trained with a run as {place} whose SHA-256 begins with {known[:12]}, and {named}"
            problems.append(Problem(message, where, f"give that run, wherever it is now: {place}=DIRECTORY"))
    if problems:
        raise UserError(*problems)


def _placed(recipe: Recipe) -> Iterator[tuple[Place, RunReference]]:
    for place, component in recipe.components():
        for name, value in component.arguments.items():
            yield from _within(value, (*place, name.rstrip("_")))


def _within(value: Any, place: Place) -> Iterator[tuple[Place, RunReference]]:
    if isinstance(value, RunReference):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _within(item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _within(item, (*place, i))
