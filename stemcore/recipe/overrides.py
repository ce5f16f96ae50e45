"""``KEY=VALUE`` arguments as trees that are laid over a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stemcore.errors import Problem, UserError
from stemcore.recipe.extends import merge
from stemcore.recipe.node import Node
from stemcore.recipe.options import names_option, with_options
from stemcore.recipe.slots import SECTIONS
from stemcore.recipe.source import read_yaml

_FORM = "write KEY=VALUE, such as model.latent_dim=32"
_WHERE = "the command line"


@dataclass(frozen=True)
class Overrides:
    """What is changed in a recipe.

    Attributes:
        options: whole sections that were chosen by name, as they are in the options' files.
        changes: all else; it comes after the options, whatever the order on the command line.
    """

    options: Node
    changes: Node

    def laid_over(self, tree: Node, problems: list[Problem]) -> Node:
        """A recipe with these changes."""
        return merge(merge(tree, self.options, problems), self.changes, problems)


def read_overrides(overrides: Sequence[str], problems: list[Problem], *, below: str = "") -> Overrides:
    """All overrides, later ones over earlier ones; malformed ones are reported and left out.

    Args:
        overrides: ``a.b.c=VALUE``, the value in YAML; a number in the key is a place in a list, counted from 0, and the
            type of a component is its place in one.
        problems: takes in what is wrong.
        below: what stood before each key, with its dot, where they are those of a part of the document.
    """
    chosen: dict[str, Node] = {}
    changes: list[tuple[list[str], Node]] = []
    for keys, node in _parsed(overrides, problems, below):
        whole = len(keys) == 1 and keys[0] in SECTIONS
        if whole and isinstance(node.value, str) and names_option(keys[0], node.value):
            chosen[keys[0]] = node
            changes = [change for change in changes if change[0] != keys]
        else:
            changes.append((keys, node))
    tree = Node({}, _WHERE)
    for keys, node in changes:
        for part in reversed(keys):
            node = Node({part: node}, node.where)
        tree = merge(tree, node, problems, typed=False)
    return Overrides(_read(chosen, problems), tree)


def _parsed(overrides: Sequence[str], problems: list[Problem], below: str) -> list[tuple[list[str], Node]]:
    """The parts of each key, and what stands behind the equals sign."""
    if isinstance(overrides, str):  # a sequence of letters
        problems.append(Problem("overrides should be a list of texts", _WHERE, f"write [{overrides!r}]"))
        return []
    found = []
    for text in overrides:
        where = f"{below}{text} on {_WHERE}"
        key, equals, value = text.partition("=")
        keys = [part.strip() for part in key.split(".")]
        try:
            if not equals:
                raise UserError("an override without '='", where=where, hint=_FORM)
            if not all(keys):
                raise UserError("an override with an empty key", where=where, hint=_FORM)
            if not value.strip():
                hint = f"write {below}{key}=null to remove it"
                raise UserError("an override without a value", where=where, hint=hint)
            if keys[0] == "extends":
                raise UserError("'extends' works in a file alone", where=where)
            found.append((keys, read_yaml(value, _WHERE, problems, where=where)))
        except UserError as error:
            problems += error.problems
    return found


def _read(chosen: dict[str, Node], problems: list[Problem]) -> Node:
    """The sections that were chosen, those that cannot be read reported and left out."""
    read: dict[str, Node] = {}
    for section, node in chosen.items():
        try:
            read.update(with_options(Node({section: node}, _WHERE), Path.cwd(), problems).value)
        except UserError as error:
            problems += error.problems
    return Node(read, _WHERE)
