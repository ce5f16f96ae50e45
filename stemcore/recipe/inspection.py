"""Looking at a recipe's tree: reporting what is wrong with its file and line, and finding its components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import catalogue
from stemcore.plugins.signature import CORE_KEYS, problems_of
from stemcore.recipe.node import Node, Place, dotted
from stemcore.recipe.options import hint_for, hint_instead
from stemcore.recipe.parts import Component
from stemcore.recipe.sections import Section
from stemcore.recipe.slots import KEYED

FAILED = object()
"""Stands for a component that could not be found, which is reported already."""
S = TypeVar("S", bound=Section)


class Inspection:
    """A pass over a recipe's tree; what is wrong goes to ``problems``, and the pass goes on.

    Args:
        root: the tree.
        problems: takes in what is wrong.
        lacking: requirements of the recipe that are not met; an unknown component may come with one of them.

    Attributes:
        components: every component that was found to be right.
    """

    def __init__(self, root: Node, problems: list[Problem], lacking: Sequence[str] = ()) -> None:
        self.root, self.problems, self.lacking = root, problems, lacking
        self.components: list[tuple[Place, Component]] = []

    def report(self, place: Place, message: str, hint: str = "") -> None:
        """Adds a problem, placed where the key was written."""
        self.problems.append(Problem(message, self.root.nearest(place).where, hint))

    def report_at(self, place: Place, found: Iterable[tuple[Place, Problem]]) -> None:
        """Reports problems found within a part of the recipe, under the whole names of the keys."""
        for inner, problem in found:
            whole = (*place, *inner)
            if problem.message.startswith("unknown key"):
                name = f"{dotted(whole[:-1])}: {problem.message}" if whole[:-1] else problem.message
            elif problem.message.startswith(("is ", "should ")):
                name = f"{dotted(whole)} {problem.message}"
            else:
                name = f"{dotted(whole)}: {problem.message}"
            self.report(whole, name, problem.hint)

    def given(self, place: Place) -> bool:
        """Whether the recipe has a value there; null counts as none."""
        node: Node | None = self.root
        for key in place:
            node = node.get(key) if node is not None else None
        return node is not None and node.value is not None

    def children(self, place: Place) -> dict[str, Node]:
        """The children of a mapping; anything else is reported and has none."""
        if not self.given(place):
            return {}
        value = self.root.nearest(place).value
        if isinstance(value, dict):
            return value
        self.report(place, f"{dotted(place)} should be a mapping of keys", self._instead(place, value))
        return {}

    def _instead(self, place: Place, value: Any) -> str:
        return hint_instead(str(place[0]), value) if len(place) == 1 and isinstance(value, str) else ""

    def plain_children(self, place: Place, names: Iterable[str] | None = None) -> dict[str, Any]:
        """The values of a mapping that are not null, those of ``names`` alone where that is given."""
        children = self.children(place) if place else self.root.value
        return {k: n.plain() for k, n in children.items() if n.value is not None and (names is None or k in names)}

    def section(self, model: type[S], place: Place, values: dict[str, Any], failed: Sequence[str] = ()) -> S | None:
        """A fixed part of the recipe, or null where it is wrong; ``failed`` keys are reported already."""
        try:
            return model.model_validate({**values, **dict.fromkeys(failed, FAILED)})
        except ValidationError as error:
            found = problems_of(error, model, values)
            self.report_at(place, (f for f in found if not f[0] or f[0][0] not in failed))
            return None

    def component(self, kind: str, place: Place, *, default_type: str = "") -> Component | None:
        """The component at a place, or null where something is wrong with it (which is reported)."""
        node = self.root.nearest(place)
        own: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
        type_node = own.get("type") or (node if isinstance(node.value, str) else Node(default_type, node.where))
        if not isinstance(node.value, (dict, str)) or not isinstance(type_node.value, str):
            self.report(
                place, f"{dotted(place)} should be the name of a {kind}, or a mapping with its type and settings"
            )
            return None
        if not type_node.value:
            self.report((*place, "type"), f"{dotted(place)}.type is required", close_match("", catalogue().names(kind)))
            return None
        try:
            entry = catalogue().find(kind, type_node.value)
            schema = catalogue().schema(entry)
        except UserError as error:
            for problem in error.problems:
                hint = problem.hint
                if len(place) == 1 and problem.message.startswith("unknown"):
                    hint = hint_for(str(place[0]), type_node.value, catalogue().names(kind), hint)
                if self.lacking and problem.message.startswith("unknown"):
                    hint = f"it may come with {' or '.join(self.lacking)}"
                self.problems.append(Problem(f"{dotted(place)}: {problem.message}", type_node.where, hint))
            return None
        core = ("type", *CORE_KEYS.get(kind, ()))
        config = {key: child.plain() for key, child in own.items() if key not in core}
        arguments, found = schema.validate(config)
        erased = {p[0] for p, _ in found if len(p) == 1 and p[0] in own and own[str(p[0])].removes}
        if erased:
            arguments, found = schema.validate({k: v for k, v in config.items() if k not in erased})
        self.report_at(place, found)
        if found:
            return None
        component = Component(kind, entry, schema, arguments, node.where)
        self.components.append((place, component))
        return component

    def keyed(self, section: str) -> list[tuple[str, Component | None]]:
        """The components of a section that is keyed by name, null for a wrong one; one set to null is left out."""
        found: list[tuple[str, Component | None]] = []
        for key, node in self.children((section,)).items():
            if node.value is None:
                continue
            if not key.replace("-", "_").isidentifier():
                message = f"{section}: '{key}' cannot be a name"
                self.report((section, key), message, "use letters, digits, _ and -")
            found.append((key, self.component(KEYED[section], (section, key), default_type=key)))
        return found

    def listed(self, kind: str, place: Place) -> list[Component]:
        """The components of a list."""
        if not self.given(place):
            return []
        items = self.root.nearest(place).value
        if not isinstance(items, list):
            self.report(place, f"{dotted(place)} should be a list", self._instead(place, items))
            return []
        found = (self.component(kind, (*place, i)) for i in range(len(items)))
        return [component for component in found if component is not None]

    def core_keys(self, model: type[S], place: Place, *, but: tuple[str, ...] = ()) -> S | None:
        """The core's keys beside a component's own."""
        node = self.root.nearest(place)
        own = node.value if isinstance(node.value, dict) else {}
        names = [name for name in model.model_fields if name in own and name not in but]
        return self.section(model, place, {name: own[name].plain() for name in names if own[name].value is not None})
