"""Reading a recipe: defaults of plugins, the file and those it extends, overrides, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError
from stemcore.plugins import catalogue
from stemcore.plugins.deprecation import announce
from stemcore.recipe.document import Recipe
from stemcore.recipe.extends import read_tree
from stemcore.recipe.node import Node, from_plain
from stemcore.recipe.options import with_options
from stemcore.recipe.overrides import read_overrides
from stemcore.recipe.requires import KEY, unmet
from stemcore.recipe.resolve import resolve


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


def read_recipe(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """:func:`load_recipe` without its warnings, for a recipe that was warned of when it was first used."""
    problems: list[Problem] = []
    changes = read_overrides(overrides, problems)
    try:
        tree, name = read_tree(source, problems)
        tree = changes.laid_over(_with_defaults(tree, problems), problems)
    except UserError as error:
        raise UserError(*dict.fromkeys([*problems, *error.problems])) from error
    needs: list[Problem] = []
    lacking = unmet(tree.get(KEY), needs)
    return resolve(tree, name, [*needs, *problems], lacking)


def _with_defaults(tree: Node, problems: list[Problem]) -> Node:
    """The tree, with the top-level keys that it leaves out as plugins suggest them."""
    defaults = {
        key: from_plain(value, f"default of plugin '{catalogue().default_of[key]}'", problems, (key,))
        for key, value in catalogue().defaults.items()
    }
    return Node({**with_options(Node(defaults, ""), Path.cwd(), problems).value, **tree.value}, tree.where)
