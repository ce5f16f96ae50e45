"""Elements of lists, addressed by their places, or by their types where they are components."""

from __future__ import annotations

from stemcore.errors import UserError
from stemcore.recipe.node import Node, Place, dotted
from stemcore.recipe.slots import kind_at


def element(node: Node, key: str, place: Place) -> int:
    """The place of a list's element: its number, or the type of a component that is there once.

    Args:
        node: the list.
        key: ``"1"``, or a component's name, qualified or not.
        place: where the list stands in the recipe.

    Raises:
        UserError: if it has no such element, or several.
    """
    items = node.value
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    what, count = dotted(place), f"it is a list of {len(items)}, counted from 0"
    if key.isdecimal() or not kind_at((*place, 0)):
        raise UserError(f"{what} has no element '{key}'", hint=count)
    types = [type_of(item) for item in items]
    found = [i for i, name in enumerate(types) if key in (name, name.split("/")[-1])]
    if len(found) > 1:
        ways = " or ".join(f"{what}.{i}" for i in found)
        raise UserError(f"{what} has {len(found)} elements '{key}'", hint=f"write {ways}")
    if not found:
        whole = ", ".join([*types, key])
        raise UserError(
            f"{what} has no element '{key}'", hint=f"it is [{', '.join(types)}]; to add it: {what}=[{whole}]"
        )
    return found[0]


def type_of(node: Node) -> str:
    """The type of a component that is written down, empty where it is not."""
    named = node.value.get("type") if isinstance(node.value, dict) else node
    return named.value if named is not None and isinstance(named.value, str) else ""
