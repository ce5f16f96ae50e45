"""The keys that ``KEY=VALUE`` may have for a recipe, and the values of each, from the recipe's JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from stemcore.errors import UserError
from stemcore.plugins import Entry, catalogue
from stemcore.plugins.shipped import summary_of
from stemcore.recipe.elements import element, type_of
from stemcore.recipe.extends import read_tree
from stemcore.recipe.node import Node, Place, from_plain
from stemcore.recipe.options import options_of
from stemcore.recipe.overrides import read_overrides
from stemcore.recipe.schema import ABOUT
from stemcore.recipe.schema_slots import component, core_keys, properties
from stemcore.recipe.schema_values import Json
from stemcore.recipe.sections import DataConfig, Header, Section, TrainerConfig
from stemcore.recipe.slots import KEYED, SECTIONS, is_groups, kind_at

Offer = tuple[str, str]
"""A text, and what is said of it."""
_SECTIONS: dict[str, type[Section]] = {"data": DataConfig, "trainer": TrainerConfig}
_OPTIONAL = ("scheduler", "backend", "sampler", "val", "test", "weight")
_NULLABLE = ("scheduler", "sampler", "val", "test")


class OverrideKeys:
    """What can be overridden in a recipe; as much of it as can be read, where it cannot be read whole.

    Args:
        recipe: the name or path of the recipe.
        overrides: those that stand before, which may change the types of components.
    """

    def __init__(self, recipe: str, overrides: Sequence[str]) -> None:
        tree = Node({}, "")
        with suppress(UserError):
            tree, _ = read_tree(recipe, [])
        defaults = {key: from_plain(value, "", []) for key, value in catalogue().defaults.items()}
        self.tree = Node({**defaults, **tree.value}, "")
        with suppress(UserError):
            given = read_overrides([text for text in overrides if "=" in text], [])
            self.tree = given.laid_over(self.tree, [])

    def continued(self, key: str) -> Iterator[Offer]:
        """The ways to go on from the beginning of a key: ``trainer.`` where keys follow, ``seed=`` where a value
        does."""
        above, dot, begun = key.rpartition(".")
        place = _place(above) if dot else ()
        for name, node in self._below(place).items():
            if name.startswith(begun):
                for mark in self._marks((*place, name), node):
                    yield f"{above}{dot}{name}{mark}", _about(node)

    def values(self, key: str) -> Iterator[Offer]:
        """The values to choose from; of a number, the one that the recipe has and the default."""
        place = _place(key)
        node = self._below(place[:-1]).get(str(place[-1]), {})
        said = dict.fromkeys(_listed(node), "")
        kind = self._kind(place) or (self._kind(place[:-1]) if place[-1] == "type" else None)
        if kind:
            said.update((text, _origin(entry)) for text, entry in _named(kind))
            if kind == "backend":
                said["auto"] = "what fits this machine best"
        if self._kind(place) and (place[-1] in _NULLABLE or (len(place) == 2 and place[0] in KEYED)):
            said["null"] = "none"
        if len(place) == 1 and place[0] in SECTIONS:
            said.update((name, summary_of(entry)) for name, entry in options_of(str(place[0])).items())
        if "default" in node and not isinstance(node["default"], (dict, list)):
            said[_text(node["default"])] = "default"
        present = self._at(place)
        if present is not None and not isinstance(present.value, (dict, list)):
            said[_text(present.value)] = "in the recipe"
        yield from said.items()

    def takes_path(self, key: str) -> bool:
        """Whether the value is the name of a file."""
        place = _place(key)
        if len(place) == 1 and place[0] in SECTIONS:  # an option of one's own
            return True
        return _is_path(self._below(place[:-1]).get(str(place[-1]), {}))

    def _below(self, place: Place) -> dict[str, Json]:
        """The keys below a place, each with its schema."""
        if not place:
            header = {name: body for name, body in properties(Header).items() if name != "stem"}
            return {**header, **{name: {"description": ABOUT[name]} for name in SECTIONS}}
        if kind := self._kind(place):
            return self._of_component(kind, place)
        if len(place) == 1 and place[0] in _SECTIONS:
            return properties(_SECTIONS[str(place[0])])
        inside = self._present(place)
        if len(place) == 1 and place[0] in KEYED:
            others = {text: {"description": _origin(entry)} for text, entry in _named(KEYED[str(place[0])])}
            return {**inside, **{text: body for text, body in others.items() if text not in inside}}
        if place == ("data", "transforms"):
            return {"input": {"description": ABOUT["input"]}, **inside}
        if place == ("optimizer",) or kind_at((*place, "*")):
            return inside
        known: dict[str, Json] = self._below(place[:-1]).get(str(place[-1]), {}).get("properties", {})
        return known

    def _present(self, place: Place) -> dict[str, Json]:
        """The keys that the recipe has there, or the numbers of a list's elements."""
        node = self._at(place)
        value: Any = node.value if node is not None else None
        if isinstance(value, list):
            types = [type_of(item) for item in value]
            # By its type where it is the only one of it, which is told apart best.
            return {t if t and types.count(t) == 1 else str(i): {"description": t} for i, t in enumerate(types)}
        of_recipe = {"description": "in the recipe"}
        return dict.fromkeys(value, of_recipe) if isinstance(value, dict) else {}

    def _of_component(self, kind: str, place: Place) -> dict[str, Json]:
        of_type: dict[str, Json] = {"type": {"description": f"the {kind}"}}
        node = self._at(place)
        name = (type_of(node) if node is not None else "") or str(place[-1])
        try:
            known = component(catalogue().find(kind, name))["properties"]
        except UserError:
            known = core_keys(kind)
        return {**of_type, **{key: body for key, body in known.items() if key != "type"}}

    def _marks(self, place: Place, node: Json) -> Iterator[str]:
        kind, here = self._kind(place), self._at(place)
        options = len(place) == 1 and options_of(str(place[0]))
        present: Any = here.value if here is not None else None
        if kind:
            optional = place[-1] in _OPTIONAL
            if (isinstance(present, (dict, str)) or not optional) and kind != "backend":
                yield "."
            if optional or options:
                yield "="
        elif kind_at((*place, "*")) and place[0] not in KEYED:  # a list of components
            if present:
                yield "."
            yield "="
        elif (place[0] in SECTIONS and len(place) == 1) or place == ("data", "transforms") or "properties" in node:
            yield "."
            if options:
                yield "="
        else:
            yield "="

    def _kind(self, place: Place) -> str | None:
        if place and place[0] == "optimizer":
            node = self._at(("optimizer",))
            groups = node is not None and is_groups(node)
            return "optimizer" if len(place) == (2 if groups else 1) else None
        return kind_at(place)

    def _at(self, place: Place) -> Node | None:
        node: Node | None = self.tree
        for i, key in enumerate(place):
            if node is not None and isinstance(node.value, list):
                with suppress(UserError):
                    key = element(node, str(key), place[:i])
            node = node.get(key) if node is not None else None
        return node


def _place(key: str) -> Place:
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _named(kind: str) -> list[tuple[str, Entry]]:
    """The components of a kind by what to write in a recipe."""
    entries = catalogue().of_kind(kind)
    bare = [entry.name for entry in entries]
    return [(entry.name if bare.count(entry.name) == 1 else entry.qualified, entry) for entry in entries]


def _origin(entry: Entry) -> str:
    return f"{entry.distribution} {entry.version}".strip()


def _listed(node: Json) -> list[str]:
    """The values that a schema lists."""
    found = [_text(value) for value in [*node.get("enum", ()), *([node["const"]] if "const" in node else ())]]
    types = node.get("type", ())
    types = [types] if isinstance(types, str) else types
    found += ["true", "false"] if "boolean" in types else []
    found += ["null"] if "null" in types else []
    return [*found, *(text for arm in node.get("anyOf", ()) for text in _listed(arm))]


def _is_path(node: Json) -> bool:
    return "path" in str(node.get("format", "")) or any(_is_path(arm) for arm in node.get("anyOf", ()))


def _text(value: Any) -> str:
    """A scalar as it is written behind the equals sign."""
    return value if isinstance(value, str) else json.dumps(value)


def _about(node: Json) -> str:
    """One line on a key: what it is, its range and its default."""
    about = str(node.get("description", "")).rstrip(".")
    last = str(node.get("markdownDescription", "")).rpartition("\n\n")[2]
    facts = last.replace("`", "") if last.startswith(("`", "default")) else ""
    return f"{about} ({facts})" if about and facts else about or facts
