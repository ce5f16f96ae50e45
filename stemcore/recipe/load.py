"""Reading a recipe or a ladder of them: defaults of plugins, the file and those it extends, overrides, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError
from stemcore.plugins.deprecation import announce
from stemcore.recipe.defaults import with_defaults
from stemcore.recipe.document import Recipe
from stemcore.recipe.extends import read_tree
from stemcore.recipe.overrides import read_overrides
from stemcore.recipe.requires import KEY, unmet
from stemcore.recipe.resolve import resolve
from stemcore.recipe.slots import STAGES
from stemcore.recipe.stages import LadderRecipe
from stemcore.recipe.stages_reading import read_stages

Source = str | Path | Mapping[str, Any]


def load_recipe(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe: every component found, every value valid, nothing built or read.

    What is deprecated in it is warned of (:class:`stemcore.StemDeprecationWarning`).

    Args:
        source: the path of a YAML file, the name of a shipped recipe, or the recipe as a mapping.
        overrides: ``KEY=VALUE``, such as ``model.latent_dim=32``; they come before the recipe, and it before defaults.

    Raises:
        UserError: with every problem there is, each with its ``file:line`` or the override that made it; with what is
            deprecated, if ``STEM_STRICT=1``.
    """
    recipe = read_recipe(source, overrides)
    announce(recipe.deprecations)
    return recipe


def changed_recipe(recipe: Recipe, source: str | Path | Mapping[str, Any], overrides: Sequence[str]) -> Recipe:
    """A recipe with overrides; of what is deprecated, only that is warned of which they bring.

    Args:
        recipe: as it is.
        source: where it was read, or its contents.
        overrides: ``KEY=VALUE``.

    Raises:
        UserError: as :func:`load_recipe` does.
    """
    changed = read_recipe(source, overrides)
    known = {deprecation.message for deprecation in recipe.deprecations}
    announce(d for d in changed.deprecations if d.message not in known)
    return changed


def read_recipe(source: Source, overrides: Sequence[str] = ()) -> Recipe:
    """:func:`load_recipe` without its warnings, for a recipe that was warned of when it was first used."""
    problems: list[Problem] = []
    changes = read_overrides(overrides, problems)
    try:
        tree, name = read_tree(source, problems)
        if STAGES in tree.value:
            hint = "'stem run' and 'stem validate' take it; give one of its stages as a recipe of its own"
            raise UserError("these are several stages, not one recipe", where=tree.value[STAGES].where, hint=hint)
        tree = changes.laid_over(with_defaults(tree, problems), problems)
    except UserError as error:
        raise UserError(*dict.fromkeys([*problems, *error.problems])) from error
    needs: list[Problem] = []
    lacking = unmet(tree.get(KEY), needs)
    return resolve(tree, name, [*needs, *problems], lacking)


def load(source: Source, overrides: Sequence[str] = ()) -> Recipe | LadderRecipe:
    """Reads and checks a recipe, as :func:`load_recipe` does, or a ladder of several.

    Args:
        source: the path of a YAML file, the name of a shipped recipe, or its contents as a mapping.
        overrides: ``KEY=VALUE``; in a ladder, ``stages.STAGE.KEY=VALUE``.

    Raises:
        UserError: with every problem there is, of all stages.
    """
    if not is_ladder(source):
        return load_recipe(source, overrides)
    ladder = read_ladder(source, overrides)
    announce(ladder.deprecations)
    return ladder


def read_ladder(source: Source, overrides: Sequence[str] = ()) -> LadderRecipe:
    """A ladder, without warnings of what is deprecated in it.

    Raises:
        UserError: with every problem of all its stages.
    """
    problems: list[Problem] = []
    tree, name = read_tree(source, problems)
    return read_stages(tree, name, overrides, problems)


def is_ladder(source: Source) -> bool:
    """Whether a recipe has stages, itself or by what it extends; what cannot be read has none."""
    try:
        return STAGES in read_tree(source, [])[0].value
    except UserError:
        return False
