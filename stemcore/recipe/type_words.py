"""Types of JSON Schema in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_BOUNDS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
    "multipleOf": "multiple of",
}


def type_in_words(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema node for people: ``number > 0``, ``"mean" | "sum"``, ``list of 2 integers``."""
    if "$ref" in node:
        return type_in_words(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return " | ".join(json.dumps(value) for value in node["enum"])
    if choices := node.get("anyOf") or node.get("oneOf"):
        return " | ".join(type_in_words(choice, definitions) for choice in choices)
    kind = node.get("type")
    if isinstance(kind, list):
        return " | ".join(type_in_words({**node, "type": one}, definitions) for one in kind)
    if kind == "array":
        return _array_in_words(node, definitions)
    if kind == "object" and isinstance(node.get("additionalProperties"), Mapping):
        return f"mapping of {type_in_words(node['additionalProperties'], definitions)}"
    if kind == "string" and node.get("format"):
        return str(node["format"])
    if kind in ("null", "boolean"):
        return str(kind)
    bounds = [f"{sign} {_number(node[key])}" for key, sign in _BOUNDS.items() if key in node]
    named = {"object": "mapping", "string": "text"}.get(str(kind), str(kind or node.get("title", "anything")))
    return " ".join([named, ", ".join(bounds)]).rstrip()


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _array_in_words(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in node:
        return f"[{', '.join(type_in_words(item, definitions) for item in node['prefixItems'])}]"
    least, most = node.get("minItems"), node.get("maxItems")
    count = f"{least} x " if least is not None and least == most else ""
    return f"list of {count}{type_in_words(node.get('items', {}), definitions)}"
