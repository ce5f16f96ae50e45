"""``stem plugins show``: one component, its parameters in words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import docstring_parser
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python

from stemcore.cli.output import show, show_table
from stemcore.component.kinds import FILES, KINDS
from stemcore.hookspecs import PROJECT
from stemcore.plugins.catalogue import Catalogue, Entry
from stemcore.plugins.deprecation import is_deprecated
from stemcore.plugins.shipped import shipped_text, summary_of
from stemcore.recipe.type_words import type_in_words


class _Lenient(GenerateJsonSchema):
    """Leaves a type that JSON does not have open, where pydantic would refuse the whole schema."""

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        name = getattr(schema.get("cls"), "__name__", None)
        if name is None:
            raise PydanticInvalidForJsonSchema(error_info)
        return {"title": name}


def document(known: Catalogue, entry: Entry) -> dict[str, Any]:
    """A component as plain data.

    Raises:
        UserError: if it cannot be imported, or its signature is not one of its kind.
    """
    base = {
        **asdict(entry),
        "api_version": known.plugin_of(entry).api_version,
        "given": list(KINDS[entry.kind].given),
        "deprecated": None,
        "about": "",
        "parameters": [],
    }
    if entry.kind in FILES:
        text = {"text": shipped_text(entry)} if entry.kind == "option" else {}
        return {**base, "about": summary_of(entry), **text}
    target = known.load(entry)
    if entry.kind == "command":
        return {**base, "about": inspect.cleandoc(getattr(target, "help", None) or "")}
    signature = known.schema(entry)
    model = signature.model
    schema = model.model_json_schema(schema_generator=_Lenient)
    parsed = docstring_parser.parse(inspect.getdoc(target) or "")
    # The first sentence may take more than the first line.
    apart = "\n\n" if parsed.blank_after_short_description else "\n"
    about = apart.join(filter(None, (parsed.short_description, parsed.long_description)))
    properties, definitions = schema.get("properties", {}), schema.get("$defs", {})
    parameters = [
        {
            **_parameter(field.alias or name, field, properties.get(field.alias or name, {}), definitions),
            "deprecated": signature.deprecations.get(field.alias or name),
        }
        for name, field in model.model_fields.items()
    ]
    return {**base, "deprecated": signature.deprecated, "about": about, "parameters": parameters, "schema": schema}


def page(described: Mapping[str, Any]) -> None:
    """Prints what :func:`document` found."""
    show(f"{described['kind']}/{described['name']}")
    if described["deprecated"] is not None:
        show(is_deprecated(described["deprecated"]))
    if described["about"]:
        show(f"\n{described['about']}")
    show("")
    show(f"plugin: {described['plugin']} ({described['distribution']} {described['version']})".replace(" )", ")"))
    if described["distribution"] != PROJECT:  # what comes with the core is always written for its API
        show(f"plugin API: {described['api_version'] or 'not declared'}")
    show(f"import: {described['target']}")
    if described["kind"] == "option":
        show(f"\n{described['text'].rstrip()}")
    if described["kind"] in ("command", *FILES):
        return
    show(f"given by the core: {', '.join(described['given']) or 'nothing'}")
    if not described["parameters"]:
        show("parameters: none")
        return
    show("")
    rows = [
        (p["name"], p["type"], "(required)" if p["required"] else json.dumps(p["default"]), _about(p))
        for p in described["parameters"]
    ]
    show_table(("parameter", "type", "default", "about"), rows)


def _parameter(name: str, field: FieldInfo, node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    required = field.is_required()
    default = None if required else to_jsonable_python(field.get_default(call_default_factory=False), fallback=str)
    about = " ".join((field.description or "").split())
    words = type_in_words(node, definitions)
    return {"name": name, "type": words, "required": required, "default": default, "description": about}


def _about(parameter: Mapping[str, Any]) -> str:
    if parameter["deprecated"] is None:
        return str(parameter["description"])
    return "; ".join(filter(None, (is_deprecated(parameter["deprecated"]), parameter["description"])))
