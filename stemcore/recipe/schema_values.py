"""The JSON Schema of single values, in the form from which editors complete and explain best.

When the pointer rests on a key, yaml-language-server shows the ``markdownDescription``, but neither range nor default;
of a key with alternatives (``anyOf``) that look alike it shows nothing but their titles. It completes values from
``enum``, ``type`` and the alternatives. Hence range and default are written into the description, and alternatives
joined to a list of types or to one ``enum`` where that says the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import CoreSchema

from stemcore.plugins.deprecation import is_deprecated
from stemcore.recipe.type_words import type_in_words

Json = dict[str, Any]
_NULL: Json = {"type": "null"}
_BOOLEAN: Json = {"type": "boolean"}


class _Lenient(GenerateJsonSchema):
    """Leaves open what JSON does not have, where pydantic would refuse the whole or warn."""

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> Json:
        """Anything."""
        return {}

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Says nothing of a default that is left out."""


def keys_of(model: type[BaseModel], deprecated: Mapping[str, str], *, required: bool) -> Json:
    """The keys of a model, by the names that a recipe uses.

    Args:
        model: whose fields they are.
        deprecated: what to use instead of each that is.
        required: whether to say which have no default.
    """
    whole = model.model_json_schema(by_alias=True, schema_generator=_Lenient)
    needed = whole.get("required", ()) if required else ()
    return {
        name: explained(name, node, whole.get("$defs", {}), required=name in needed, deprecated=deprecated.get(name))
        for name, node in whole.get("properties", {}).items()
    }


def explained(
    name: str, node: Json, definitions: Mapping[str, Json], *, required: bool = False, deprecated: str | None = None
) -> Json:
    """The schema of a key with all that an editor shows of it.

    Args:
        name: the key.
        node: its schema as pydantic writes it.
        definitions: what that refers to.
        required: whether it must be given.
        deprecated: what to use instead, null where the key is not deprecated.
    """
    body: Json = tidy(node, definitions)
    default = f"default `{json.dumps(body['default'])}`" if "default" in body else ""
    facts = ", ".join(filter(None, (f"`{type_in_words(node, definitions)}`", "required" if required else default)))
    about = " ".join(str(body.pop("description", "")).split())
    if deprecated is not None:
        about = "; ".join(filter(None, (is_deprecated(deprecated), about)))
        # A keyword of the language server's own: it warns of such a key, and offers it no more.
        body.update(deprecated=True, deprecationMessage=f"{name} {is_deprecated(deprecated)}")
    if body.get("default") in ([], {}) or "const" in body:
        body.pop("default", None)  # An editor would type it in, where only the first item or the sole value is of use.
    if "anyOf" in body:
        body["anyOf"] = [_alternative(name, arm, markdown(about, facts), definitions) for arm in body["anyOf"]]
    return {**about_of(name, about, facts), **body}


def about_of(title: str, about: str, facts: str = "") -> Json:
    """Title and description, plain and in Markdown, in which ``facts`` stand below."""
    text = markdown(about, facts)
    plain = {"description": about.replace("``", "")} if about else {}
    return {"title": title, **plain, **({"markdownDescription": text} if text else {})}


def markdown(about: str, facts: str = "") -> str:
    """A docstring's text in Markdown, where code has one backtick and a star would be emphasis."""
    pieces = re.split(r"(``.+?``)", about, flags=re.DOTALL)
    shown = [p[1:-1] if p.startswith("``") else re.sub(r"([\\*_<>\[\]#|`])", r"\\\1", p) for p in pieces]
    return "\n\n".join(filter(None, ("".join(shown), facts)))


def tidy(node: Any, definitions: Mapping[str, Json], within: tuple[str, ...] = ()) -> Any:
    """A schema with its references written out (but for those to what they stand in) and its alternatives joined."""
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return beside if name in within else {**tidy(definitions[name], definitions, (*within, name)), **beside}
    body: Json = {}
    for key, value in node.items():
        if key in ("items", "additionalProperties"):
            body[key] = tidy(value, definitions, within)
        elif key == "prefixItems":
            body[key] = [tidy(item, definitions, within) for item in value]
        elif key == "properties":
            body[key] = {name: tidy(item, definitions, within) for name, item in value.items()}
            if within:  # the keys of a mapping with fixed ones
                body[key] = {name: explained(name, item, definitions) for name, item in body[key].items()}
        elif key == "anyOf":
            body.update(joined([tidy(arm, definitions, within) for arm in value]))
        elif key not in ("title", "deprecated"):
            body[key] = value
    return body


def joined(alternatives: Sequence[Json]) -> Json:
    """Alternatives as one schema, or as few as will do."""
    arms = [inner for arm in alternatives for inner in (arm["anyOf"] if list(arm) == ["anyOf"] else [arm])]
    closed = [arm for arm in arms if "enum" in arm or "const" in arm]
    rest = [arm for arm in arms if arm not in closed]
    if not closed:
        return _one_with_types(rest) or {"anyOf": rest}
    if all(arm in (_NULL, _BOOLEAN) for arm in rest):
        return _enum(arms)
    one = _one_with_types(rest)
    return {"anyOf": [_enum(closed), *([one] if one else rest)]}


def _enum(arms: Sequence[Json]) -> Json:
    values = [value for arm in arms for value in _values(arm)]
    # With the type, an editor quotes what would be read as a number.
    return {"enum": values, **({"type": "string"} if all(isinstance(value, str) for value in values) else {})}


def _one_with_types(arms: Sequence[Json]) -> Json | None:
    """One schema with a list of types, null where a keyword would come to bear on the values of another arm."""
    types: list[str] = []
    whole: Json = {}
    for arm in arms:
        own = arm.get("type", "any")
        types += own if isinstance(own, list) else [own]
        others = {key: value for key, value in arm.items() if key != "type"}
        if set(others) & set(whole):
            return None
        whole.update(others)
    if "any" in types or len(set(types)) < len(types) or {"integer", "number"} <= set(types):
        return None
    return {"type": types[0] if len(types) == 1 else types, **whole}


def _values(arm: Json) -> list[Any]:
    if arm == _NULL:
        return [None]
    if arm == _BOOLEAN:
        return [False, True]
    return [arm["const"]] if "const" in arm else list(arm["enum"])


def _alternative(name: str, arm: Json, text: str, definitions: Mapping[str, Json]) -> Json:
    """One of several, told from the others by its type in words, with the text of the whole for editors to show."""
    return {"title": name, "description": type_in_words(arm, definitions), **arm, "markdownDescription": text}
