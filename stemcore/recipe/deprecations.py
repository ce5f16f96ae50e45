"""What in a recipe is deprecated: components, settings of them, and plugins that rely on old hooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stemcore.errors import Problem
from stemcore.plugins import catalogue
from stemcore.plugins.deprecation import is_deprecated
from stemcore.recipe.node import Node, Place, dotted
from stemcore.recipe.parts import Component


def deprecations(root: Node, components: Iterable[tuple[Place, Component]]) -> Iterator[Problem]:
    """One line for each, placed where the recipe has it, with the plugin and its advice.

    Args:
        root: the recipe.
        components: all of it, with their places.
    """
    plugins = set()
    for place, component in components:
        entry = component.entry
        which = f"{component.kind} '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution} {entry.version})"
        if component.schema.deprecated is not None:
            yield Problem(f"{dotted(place)}: {which} {is_deprecated(component.schema.deprecated)}", component.where)
        for name, node in _settings(root, place):
            if name in component.schema.deprecations:
                advice = is_deprecated(component.schema.deprecations[name])
                yield Problem(f"{dotted((*place, name))}: {name!r} of {which} {advice}", node.where)
        if entry.plugin not in plugins:
            plugins.add(entry.plugin)
            for text in catalogue().plugin_of(entry).deprecations:
                who = f"plugin '{entry.plugin}' ({entry.distribution} {entry.version})"
                yield Problem(f"{dotted(place)}: {who}: {text}", component.where)


def _settings(root: Node, place: Place) -> Iterator[tuple[str, Node]]:
    """What the recipe sets of a component; a null that takes an inherited setting back sets nothing."""
    value = root.nearest(place).value
    if isinstance(value, dict):
        yield from ((name, node) for name, node in value.items() if not node.removes)
