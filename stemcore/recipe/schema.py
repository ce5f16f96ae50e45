"""JSON Schema of the recipe with the plugins that are installed here, from which editors complete and check."""

from __future__ import annotations

from typing import Any

from stemcore.errors import UserError
from stemcore.plugins import Entry, catalogue
from stemcore.recipe.sections import (
    DataConfig,
    FigureKeys,
    GroupKeys,
    Header,
    LossKeys,
    MetricKeys,
    Section,
    TrainerConfig,
)
from stemcore.recipe.slots import KEYED, SECTIONS

Json = dict[str, Any]
_CORE: dict[str, type[Section]] = {
    "loss": LossKeys, "metric": MetricKeys, "figure": FigureKeys, "optimizer": GroupKeys
}  # fmt: skip
_SLOT_KINDS = (
    "dataset", "augmentation", "transform", "sampler", "model", "loss", "weight_schedule",
    "metric", "optimizer", "scheduler", "backend", "logger", "figure", "callback",
)  # fmt: skip


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12) of a recipe. A component that cannot be imported is left out.

    Required are only the types of components, and these only in a recipe that extends no other: what else is missing
    may come from the command line, and ``stem validate`` says so.
    """
    defs: Json = {}
    for kind in _SLOT_KINDS:
        _define_kind(kind, defs)
    properties = {
        **_properties(Header, defs),
        "extends": _either({"type": "string"}, {"type": "array", "items": {"type": "string"}}),
        "data": _nullable(_data(defs)),
        "model": _ref("model"),
        **{section: _nullable(_keyed(section, defs)) for section in KEYED},
        "optimizer": _either(_ref("optimizer"), {"type": "object", "additionalProperties": _ref("optimizer")}),
        "scheduler": _nullable(_ref("scheduler")),
        "trainer": _nullable(_object(_properties(TrainerConfig, defs))),
        "backend": _nullable(_either({"const": "auto"}, _ref("backend"))),
        "loggers": _nullable({"type": "array", "items": _ref("logger")}),
    }
    properties = {key: properties[key] for key in ("stem", "name", "seed", "extends", *SECTIONS)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stemcore recipe",
        **_object(properties),
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": {"model": _TYPED, "data": {"properties": {"train": _TYPED}}}, "required": ["model"]},
        "$defs": defs,
    }


_TYPED: Json = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["type"]}]}


def _define_kind(kind: str, defs: Json) -> None:
    """Adds the definition of each component of a kind, and that of any of them."""
    names: list[str] = []
    variants: list[Json] = []
    for entry in catalogue().of_kind(kind):
        try:
            body = _component(entry, defs)
        except UserError:
            continue
        names += [name for name in (entry.name, entry.qualified) if name not in names]
        defs[f"{kind}.{entry.plugin}.{entry.name}"] = body
        variants.append(_ref(f"{kind}.{entry.plugin}.{entry.name}"))
    defs[kind] = _either({"type": "string", "enum": names}, *variants) if names else {"not": {}}


def _component(entry: Entry, defs: Json) -> Json:
    schema = catalogue().schema(entry)
    own = _properties(schema.model, defs)
    core = _properties(_CORE[entry.kind], defs) if entry.kind in _CORE else {}
    if entry.kind == "loss":
        core["weight"] = _either(core["weight"], _ref("weight_schedule"))
    about = {"description": schema.summary} if schema.summary else {}
    name: Json = {"enum": [entry.name, entry.qualified], **about}
    return {**_object({"type": name, **core, **own}), **about}


def _keyed(section: str, defs: Json) -> Json:
    """A section whose components are keyed by name: the type may be left out where the key is a component's name."""
    kind = KEYED[section]
    entries = [e for e in catalogue().of_kind(kind) if f"{kind}.{e.plugin}.{e.name}" in defs]
    other = {"allOf": [_ref(kind), _TYPED]}
    named = {}
    for entry in entries:
        same = _ref(f"{kind}.{entry.plugin}.{entry.name}")
        about = {"description": defs[f"{kind}.{entry.plugin}.{entry.name}"].get("description", "")}
        named[entry.name] = {**_either(same, other, {"type": "null"}), **about}
    return {"type": "object", "properties": named, "additionalProperties": _nullable(other)}


def _data(defs: Json) -> Json:
    share = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
    properties = _properties(DataConfig, defs)
    transforms = {"type": "object", "additionalProperties": {"type": "array", "items": _ref("transform")}}
    for key in ("val", "test"):
        about = {name: properties[key][name] for name in ("description", "default")}
        properties[key] = {**_nullable(_either(share, _ref("dataset"))), **about}
    return _object(
        {
            **properties,
            "train": _ref("dataset"),
            "augment": _nullable({"type": "array", "items": _ref("augmentation")}),
            "transforms": _nullable(transforms),
            "sampler": _nullable(_ref("sampler")),
        }
    )


def _properties(model: Any, defs: Json) -> Json:
    """The properties of a pydantic model; what it defines besides goes to ``defs``, under the model's own name."""
    whole = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{model.__name__}.{{model}}")
    for name, body in whole.get("$defs", {}).items():
        defs[f"{model.__name__}.{name}"] = body
    properties: Json = whole.get("properties", {})
    return properties


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _either(*arms: Json) -> Json:
    return {"anyOf": list(arms)}


def _nullable(arm: Json) -> Json:
    return _either(arm, {"type": "null"})


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}
