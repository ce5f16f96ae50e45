"""Reading a recipe: defaults of plugins, the file and those it extends, overrides, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError
from stemcore.plugins import catalogue
from stemcore.recipe.document import Recipe
from stemcore.recipe.extends import merge, read_tree
from stemcore.recipe.node import Node, from_plain
from stemcore.recipe.overrides import read_overrides
from stemcore.recipe.resolve import resolve


def load_recipe(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe: every component found, every value valid, nothing built or read.

    Args:
        source: the path of a YAML file, the name of a shipped recipe, or the recipe as a mapping.
        overrides: ``KEY=VALUE``, such as ``model.latent_dim=32``; they come before the recipe, and it before defaults.

    Raises:
        UserError: with every problem there is, each with its ``file:line`` or the override that made it.
    """
    problems: list[Problem] = []
    changes = read_overrides(overrides, problems)
    try:
        tree, name = read_tree(source, problems)
        tree = merge(_with_defaults(tree, problems), changes, problems)
    except UserError as error:
        raise UserError(*dict.fromkeys([*problems, *error.problems])) from error
    return resolve(tree, name, problems)


def _with_defaults(tree: Node, problems: list[Problem]) -> Node:
    """The tree, with the top-level keys that it leaves out as plugins suggest them."""
    defaults = {
        key: from_plain(value, f"default of plugin '{catalogue().default_of[key]}'", problems, (key,))
        for key, value in catalogue().defaults.items()
    }
    return Node({**defaults, **tree.value}, tree.where)
