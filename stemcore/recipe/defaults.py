"""What plugins suggest for the keys that a recipe leaves out."""

from __future__ import annotations

from pathlib import Path

from stemcore.errors import Problem
from stemcore.plugins import catalogue
from stemcore.recipe.node import Node, from_plain
from stemcore.recipe.options import with_options


def with_defaults(tree: Node, problems: list[Problem]) -> Node:
    """A recipe, with the top-level keys that it leaves out as plugins suggest them."""
    defaults = {
        key: from_plain(value, f"default of plugin '{catalogue().default_of[key]}'", problems, (key,))
        for key, value in catalogue().defaults.items()
    }
    return Node({**with_options(Node(defaults, ""), Path.cwd(), problems).value, **tree.value}, tree.where)
