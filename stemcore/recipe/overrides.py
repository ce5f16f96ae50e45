"""``KEY=VALUE`` arguments as a tree that is laid over a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from stemcore.errors import Problem, UserError
from stemcore.recipe.extends import merge
from stemcore.recipe.node import Node
from stemcore.recipe.source import read_yaml

_FORM = "write KEY=VALUE, such as model.latent_dim=32"


def read_overrides(overrides: Sequence[str], problems: list[Problem]) -> Node:
    """One tree of all overrides, later ones over earlier ones; malformed ones are reported and left out.

    Args:
        overrides: ``a.b.c=VALUE``, the value in YAML; a number in the key is a place in a list, counted from 0.
        problems: takes in what is wrong.
    """
    tree = Node({}, "the command line")
    for text in overrides:
        where = f"{text} on the command line"
        key, equals, value = text.partition("=")
        keys = [part.strip() for part in key.split(".")]
        try:
            if not equals:
                raise UserError("an override without '='", where=where, hint=_FORM)
            if not all(keys):
                raise UserError("an override with an empty key", where=where, hint=_FORM)
            if not value.strip():
                raise UserError("an override without a value", where=where, hint=f"write {key}=null to remove it")
            if keys[0] == "extends":
                raise UserError("'extends' works in a file alone", where=where)
            node = read_yaml(value, "the command line", problems, where=where)
            for part in reversed(keys):
                node = Node({part: node}, where)
            tree = merge(tree, node, problems, typed=False)
        except UserError as error:
            problems += error.problems
    return tree
