"""The JSON Schema of components, and of the places in a recipe where one stands."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import docstring_parser

from stemcore.errors import UserError
from stemcore.plugins import Entry, catalogue
from stemcore.plugins.deprecation import is_deprecated
from stemcore.recipe.schema_values import Json, about_of, joined, keys_of, markdown
from stemcore.recipe.sections import FigureKeys, GroupKeys, LossKeys, MetricKeys, Section

_CORE: dict[str, type[Section]] = {
    "loss": LossKeys, "metric": MetricKeys, "figure": FigureKeys, "optimizer": GroupKeys
}  # fmt: skip
_OBJECT: Json = {"type": "object"}
_TYPED: Json = {"required": ["type"]}
NULL: Json = {"type": "null"}
CHANGES, SETTINGS = "changes", "settings"
"""What the mapping of a component may be: one that can lack its type, because the recipe below has it, or a whole."""


def define_kind(kind: str, defs: Json) -> None:
    """Adds a kind: each component, their names, and the mapping of any of them. One that cannot be imported is left
    out."""
    found: list[tuple[Entry, Json]] = []
    for entry in catalogue().of_kind(kind):
        try:
            found.append((entry, component(entry)))
        except UserError:
            continue
    bare = [entry.name for entry, _ in found]
    names = {e.name if bare.count(e.name) == 1 else e.qualified: _summary(e) for e, _ in found}
    if kind == "backend":
        names = {"auto": "The one that fits this machine best.", **names}
    enum = {"enum": list(names), "markdownEnumDescriptions": list(names.values())}
    defs[f"{kind}.name"] = enum if names else {"not": {}}
    defs[f"{kind}.qualified"] = {
        "description": "plugin/name",
        "type": "string",
        "pattern": _pattern(entry.qualified for entry, _ in found),
    }
    cases = []
    for entry, body in found:
        key = f"{kind}.{entry.plugin}.{entry.name}"
        defs[key] = body
        called = {"pattern": _pattern([entry.qualified, *([entry.name] if bare.count(entry.name) == 1 else [])])}
        cases.append({"if": {"properties": {"type": called}, **_TYPED}, "then": _ref(key)})
    of_type = {"title": "type", "anyOf": [_ref(f"{kind}.name"), _ref(f"{kind}.qualified")]}
    # Beside the properties, the language server would make a skeleton of what is required.
    defs[f"{kind}.{SETTINGS}"] = {**_OBJECT, "properties": {"type": of_type}, "allOf": [_TYPED, *cases]}
    any_of_them = {"properties": {"type": of_type}, **({"anyOf": [case["then"] for case in cases]} if cases else {})}
    defs[f"{kind}.{CHANGES}"] = {**_OBJECT, "if": _TYPED, "then": _ref(f"{kind}.{SETTINGS}"), "else": any_of_them}


def _summary(entry: Entry) -> str:
    return markdown(catalogue().schema(entry).summary)


def component(entry: Entry) -> Json:
    """The mapping that sets up one component: its type, the core's keys beside it, its own.

    Raises:
        UserError: if it cannot be imported or its signature is not one of its kind.
    """
    schema = catalogue().schema(entry)
    parsed = docstring_parser.parse(inspect.getdoc(schema.target) or "")
    about = "\n\n".join(filter(None, (parsed.short_description, parsed.long_description)))
    of_type: Json = {**about_of("type", about), "type": "string"}
    if schema.deprecated is not None:
        of_type.update(deprecated=True, deprecationMessage=f"{entry.name} {is_deprecated(schema.deprecated)}")
    keys = {"type": of_type, **core_keys(entry.kind), **keys_of(schema.model, schema.deprecations, required=True)}
    title = f"{entry.kind} {entry.name}"
    return {**about_of(title, about), **_OBJECT, "properties": keys, "additionalProperties": False}


def core_keys(kind: str) -> Json:
    """The core's keys beside those of a component of a kind."""
    keys = properties(_CORE[kind]) if kind in _CORE else {}
    if kind == "loss":
        about = {name: value for name, value in keys["weight"].items() if name not in ("type", "minimum")}
        # The type may be lacking: a recipe that extends another can change the numbers of a schedule alone.
        keys["weight"] = {**slot("weight_schedule", also={"type": "number", "minimum": 0}, settings=CHANGES), **about}
    return keys


def properties(model: type[Section]) -> Json:
    """The keys of a part of the recipe that is the core's."""
    return keys_of(model, {}, required=False)


def slot(kind: str, *, also: Json | None = None, null: bool = False, settings: str = SETTINGS) -> Json:
    """A place where a component stands: its name, or a mapping with its type and settings.

    Editors complete from the alternatives, the last of which allows anything: what is wrong is found by ``if`` and
    ``else``, so that the message is about the form that was meant.

    Args:
        kind: of the component.
        also: another value that is allowed.
        null: whether null is allowed.
        settings: ``CHANGES`` where the type may be lacking.
    """
    others = [*([also] if also else []), *([NULL] if null else [])]
    names = [_ref(f"{kind}.name"), _ref(f"{kind}.qualified")]
    snippet = {"label": "type", "description": f"the {kind} by its type, and its settings", "body": {"type": "$1"}}
    return {
        "anyOf": [*names, *others, {"properties": {"type": True}}],
        **_checked(kind, others, settings),
        "defaultSnippets": [snippet],
    }


def _checked(kind: str, others: Sequence[Json], settings: str) -> Json:
    bare = {"then": _ref(f"{kind}.qualified"), "else": _ref(f"{kind}.name")}
    named: Json = {"if": {"type": "string", "pattern": "/"}, **bare}
    otherwise = {"if": {"type": "string"}, "then": named, "else": joined(others)} if others else named
    return {"if": _OBJECT, "then": _ref(f"{kind}.{settings}"), "else": otherwise}


def listed(kind: str, defs: Mapping[str, Any], *, settings: str) -> Json:
    """A list of components; where one below is changed, also its elements by their numbers and types."""
    names = defs[f"{kind}.name"]
    about = zip(names.get("enum", ()), names.get("markdownEnumDescriptions", ()), strict=True)
    # Of alternatives, the language server would offer a list element each.
    offers = [{"label": name, "markdownDescription": text, "body": name} for name, text in about]
    items = {**_checked(kind, (), SETTINGS), "defaultSnippets": offers}
    if settings == SETTINGS:
        return {"type": ["array", "null"], "items": items}
    entries = [e for e in catalogue().of_kind(kind) if f"{kind}.{e.plugin}.{e.name}" in defs]
    bare = [e.name for e in entries]
    of_type = {e.name: _ref(f"{kind}.{e.plugin}.{e.name}") for e in entries if bare.count(e.name) == 1}
    placed = {"properties": of_type, "patternProperties": {"^[0-9]+$|/": slot(kind, settings=settings)}}
    return {"type": ["array", "object", "null"], "items": items, **placed, "additionalProperties": False}


def keyed(kind: str, defs: Mapping[str, Any], *, settings: str) -> Json:
    """Components by name, where the type may be left out if the name is that of a component; null leaves one out."""
    entries = [e for e in catalogue().of_kind(kind) if f"{kind}.{e.plugin}.{e.name}" in defs]
    bare = [entry.name for entry in entries]
    of_that_name = {e.name: _named(e, defs, settings) for e in entries if bare.count(e.name) == 1}
    any_name = slot(kind, null=True, settings=settings)
    return {"type": ["object", "null"], "properties": of_that_name, "additionalProperties": any_name}


def _named(entry: Entry, defs: Mapping[str, Any], settings: str) -> Json:
    key = f"{entry.kind}.{entry.plugin}.{entry.name}"
    checked = _checked(entry.kind, [NULL], settings)
    return {
        **about_of(defs[key]["title"], catalogue().schema(entry).summary),
        **{**checked, "then": {"if": _TYPED, "then": checked["then"], "else": _ref(key)}},
        "type": ["object", "string", "null"],
        "defaultSnippets": [_beginning(entry, defs[key]["properties"])],
    }


def _beginning(entry: Entry, keys: Mapping[str, Json]) -> Json:
    """What an editor writes behind the name of a component: the keys that it must have and the one that is set most
    often. Nothing would be null, which leaves the component out."""
    fields = catalogue().schema(entry).model.model_fields.items()
    needed = [field.alias or name for name, field in fields if field.is_required()]
    usual = [name for name in ("weight", "every_n_epochs", "every_n_steps") if name in keys]
    first = [name for name, key in keys.items() if not isinstance(key.get("default", {}), (dict, list))]
    chosen = [*(usual or first)[:1], *needed]
    values = {name: keys[name].get("default", "") for name in chosen}
    shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    body = {name: f"${{{i}:{text}}}" for i, (name, text) in enumerate(shown.items(), 1)}
    return {
        "label": ", ".join(f"{name}: {text}".rstrip() for name, text in shown.items()) or "{}",
        "body": body or "^{}",
    }


def _pattern(names: Iterable[str]) -> str:
    """A regular expression of these names alone. (``re.escape`` escapes more than JavaScript takes.)"""
    escaped = (re.sub(r"[.^$*+?()|{}\[\]\\]", r"\\\g<0>", name) for name in names)
    return f"^({'|'.join(escaped)})$"


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}
