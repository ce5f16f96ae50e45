"""Values for required keys, so that a component can be checked without an example of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from stemcore.plugins.signature import Schema
from stemcore.testing.promises import NotApplicable


def filled_in(schema: Schema, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with a value for each required key: that of ``Field(examples=[...])``, else one that fits its
    annotation.

    Raises:
        NotApplicable: if there is no telling what a required key should be.
    """
    whole = schema.model.model_json_schema(by_alias=True)
    properties = whole.get("properties", {})
    made = {key: _plain(value) for key, value in config.items()}
    for key in whole.get("required", ()):
        if key not in made:
            made[key] = _value(properties[key], whole.get("$defs", {}), key)
    return made


def _plain(value: Any) -> Any:
    """Paths as text, as a recipe has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _value(schema: Mapping[str, Any], defs: Mapping[str, Any], key: str) -> Any:
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for arms in ("anyOf", "oneOf"):
        if schema.get(arms):
            return _value(schema[arms][0], defs, key)
    kind = schema.get("type")
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        return _number(schema, kind == "integer")
    if kind == "array" and "items" in schema:
        return [_value(schema["items"], defs, key) for _ in range(schema.get("minItems", 1))]
    if kind == "array" and "prefixItems" in schema:
        return [_value(item, defs, key) for item in schema["prefixItems"]]
    raise NotApplicable(
        f"no value for its required key '{key}' is known: "
        "annotate it with Field(examples=[...]), or give an example by the hook stem_examples"
    )


def _number(schema: Mapping[str, Any], whole: bool) -> int | float:
    """The smallest number of its range, or one in the middle of an open one."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if whole:
        return int((low if low is not None else 0) + ("exclusiveMinimum" in schema))
    if low is not None and high is not None:
        return float((low + high) / 2)
    if low is None and high is None:
        return 1.0
    return float(low + 1 if low is not None else high - 1)
