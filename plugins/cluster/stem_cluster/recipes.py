"""The recipe of a job, which may be a ladder of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stem_cluster.resources import Resources
from stemcore import LadderRecipe, Recipe, check_ladder, is_ladder, load_recipe, logged_scalars, read_ladder

CHECKED_WITH = ("backend=cpu", "trainer.precision=32")
"""The machine where a job is submitted need not have the device on which it will run."""
Trained = Recipe | LadderRecipe


def load(source: str | Path, overrides: Sequence[str]) -> Trained:
    """A recipe or a ladder.

    Raises:
        UserError: with every problem there is.
    """
    return read_ladder(source, overrides) if is_ladder(source) else load_recipe(source, overrides)


def check(recipe: Trained) -> None:
    """Raises ``UserError`` for what ``stem validate`` finds."""
    if isinstance(recipe, Recipe):
        logged_scalars(recipe)
    else:
        check_ladder(recipe)


def _recipes(recipe: Trained) -> dict[str, Recipe]:
    """A recipe, or those of the stages of a ladder, by what stands before their keys in overrides."""
    if isinstance(recipe, Recipe):
        return {"": recipe}
    return {f"stages.{name}.": stage.recipe for name, stage in recipe.stages.items() if hasattr(stage, "recipe")}


def everywhere(source: str, overrides: Sequence[str]) -> list[str]:
    """Overrides of a recipe, or of each stage of a ladder."""
    places = _recipes(read_ladder(source)) if overrides and is_ladder(source) else [""]
    return [f"{place}{override}" for place in places for override in overrides]


def devices_of(resources: Resources) -> list[str]:
    """What the recipe is told of the devices, where the command names them."""
    named = {"trainer.devices": resources.tasks, "trainer.num_nodes": resources.nodes}
    return [f"{key}={count}" for key, count in named.items() if count]


def as_the_recipe_says(resources: Resources, recipe: Trained) -> Resources:
    """The resources, with the processes and machines of the recipe, or of the stage that has most."""
    recipes = [*_recipes(recipe).values()]
    tasks = max((_count(one.trainer.devices) for one in recipes), default=1)
    return replace(resources, tasks=tasks, nodes=max((one.trainer.num_nodes for one in recipes), default=1))


def _count(devices: Any) -> int:
    """The processes that a recipe's ``devices`` stand for; ``auto`` is one where nobody says more."""
    return len(devices) if isinstance(devices, list) else devices if isinstance(devices, int) else 1
