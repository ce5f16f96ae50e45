"""JSON Schema of the recipe with the plugins that are installed here, from which editors complete and check."""

from __future__ import annotations

from typing import Any

from stemcore.plugins import catalogue
from stemcore.recipe.schema_options import or_option
from stemcore.recipe.schema_slots import CHANGES, NULL, SETTINGS, define_kind, keyed, listed, properties, slot
from stemcore.recipe.schema_values import Json, about_of, joined
from stemcore.recipe.sections import PRECISIONS, DataConfig, Header, TrainerConfig
from stemcore.recipe.slots import KEYED, SECTIONS, STAGES, VERB

SLOT_KINDS = (
    "dataset", "augmentation", "transform", "sampler", "model", "loss", "weight_schedule",
    "metric", "optimizer", "scheduler", "backend", "logger", "figure", "callback",
)  # fmt: skip
ABOUT = {
    "extends": "recipes below this one: names of shipped ones, or files; what stands here goes over what stands there",
    "data": "where the items come from, how they are split, and what happens to them on the way to the model",
    "model": "the network",
    "losses": "the terms of the total loss, by name; null leaves out an inherited one",
    "metrics": "what is measured on the validation data, by name",
    "optimizer": "what changes the parameters: one, or several by name, each with the parameters that it owns",
    "scheduler": "how the learning rate changes; null: not at all",
    "trainer": "how long to train, in which precision, on what",
    "backend": "the device to train on",
    "loggers": "where the scalars of a run are written",
    "figures": "what is drawn, by name",
    "callbacks": "what else happens in a run, by name",
    "train": "where the training data come from",
    "input": "preprocessing of the main field of the data, in order",
    "stages": "recipes and verbs one after the other, by name; `stage:NAME` stands for what an earlier one leaves",
    "verb": "a verb of the command line, in place of a recipe",
    "arguments": "of the verb, in their order",
    "options": "of the verb, by their names without dashes; `out` lies in the stage's folder",
}
"""What is said of the keys that no class describes."""
# A name of a run's folder: as in :class:`Header`, in words that regular expressions of Python and JavaScript share.
_NAME = r"^[^\x00-/:-@\[-^`{-\x7f][^\x00-\x1f!-*,/:-@\[-^`{-\x7f]*$"


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12) of a recipe. A component that cannot be imported is left out.

    Required are only the types of components, and these only in a recipe that extends no other: what else is missing
    may come from the command line, and ``stem validate`` says so.
    """
    defs: Json = {}
    for kind in SLOT_KINDS:
        define_kind(kind, defs)
    header = properties(Header)
    header["name"]["pattern"] = _NAME
    header["extends"] = {**about_of("extends", ABOUT["extends"]), **_extends()}
    first = {key: header[key] for key in ("stem", "name", "seed", "requires", "extends")}
    stages = {**about_of(STAGES, ABOUT[STAGES]), "type": "object", "additionalProperties": _stage(first, defs)}
    no_sections = {"properties": dict.fromkeys(SECTIONS, False)}
    needed = {"if": {"required": [STAGES]}, "then": no_sections, "else": {"required": ["model"]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stemcore recipe",
        "type": "object",
        "properties": {**first, **dict.fromkeys(SECTIONS, True), STAGES: stages},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "then": {"properties": sections(defs, CHANGES)},
        "else": {"properties": sections(defs, SETTINGS), "allOf": [needed]},
        "$defs": defs,
    }


def _stage(first: Json, defs: Json) -> Json:
    """A stage of a ladder: a verb, or a recipe, of which a ladder below this one may have the rest."""
    words = {"type": ["string", "number", "boolean"]}
    several = {"anyOf": [words, {"type": "array", "items": words}, NULL]}
    verb = {
        VERB: {**about_of(VERB, ABOUT[VERB]), "type": "string"},
        "arguments": {**about_of("arguments", ABOUT["arguments"]), **several},
        "options": {
            **about_of("options", ABOUT["options"]),
            "type": ["object", "null"],
            "additionalProperties": several,
        },
    }
    # Keys of a verb that a ladder below this one has may be changed without naming it again.
    recipe = {**first, **sections(defs, CHANGES)}
    defs[f"verb.{CHANGES}"] = {"properties": verb, "additionalProperties": False}
    defs[f"recipe.{CHANGES}"] = {"properties": {**recipe, **verb, VERB: False}, "additionalProperties": False}
    chosen = {"if": {"required": [VERB]}, "then": _ref(f"verb.{CHANGES}"), "else": _ref(f"recipe.{CHANGES}")}
    return {"type": ["object", "null"], **chosen}


def sections(defs: Json, settings: str) -> Json:
    """The sections of a recipe, and the components that stand beside them.

    Args:
        defs: what is defined, to which ``data`` and ``trainer`` are added.
        settings: ``CHANGES`` for a recipe that extends another.
    """
    defs[f"data.{settings}"] = {"properties": _data(defs, settings), "additionalProperties": False}
    defs[f"trainer.{settings}"] = {"properties": _trainer(settings), "additionalProperties": False}
    # The keys stand one level below, else an editor would write them all out with their defaults.
    parts = {name: {"type": ["object", "null"], "allOf": [_ref(f"{name}.{settings}")]} for name in ("data", "trainer")}
    found = {
        **parts,
        "model": slot("model", settings=settings),
        "optimizer": _optimizer(settings),
        "scheduler": slot("scheduler", null=True, settings=settings),
        "backend": slot("backend", null=True, settings=settings),
        "loggers": listed("logger", defs, settings=settings),
        **{section: keyed(kind, defs, settings=settings) for section, kind in KEYED.items()},
    }
    return {name: {**about_of(name, ABOUT[name]), **or_option(name, found[name])} for name in SECTIONS}


def _data(defs: Json, settings: str) -> Json:
    keys = properties(DataConfig)
    share = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
    chain = listed("transform", defs, settings=settings)
    main = {**about_of("input", ABOUT["input"]), **chain}
    placed = {
        "train": slot("dataset", settings=settings),
        "val": slot("dataset", also=share, null=True, settings=settings),
        "test": slot("dataset", also=share, null=True, settings=settings),
        "augment": listed("augmentation", defs, settings=settings),
        "transforms": {"type": ["object", "null"], "properties": {"input": main}, "additionalProperties": chain},
        "sampler": slot("sampler", null=True, settings=settings),
    }
    for name, body in placed.items():
        default = {"default": keys[name]["default"]} if keys[name].get("default") is not None else {}
        fact = f"default `{default['default']}`" if default else ""
        keys[name] = {**about_of(name, keys[name].get("description", ABOUT["train"]), fact), **default, **body}
    return _undoable(keys, settings)


def _trainer(settings: str) -> Json:
    keys = properties(TrainerConfig)
    precision = keys["precision"]
    usual = {key: precision.pop(key) for key in ("type", "enum", "default")}
    # Other spellings are valid, and not worth being offered.
    spelt = {"type": "string", "pattern": f"^({'|'.join(name for name in PRECISIONS if name not in usual['enum'])})$"}
    bits = {"type": "integer", "minimum": 16, "maximum": 32, "multipleOf": 16}
    other = {**precision, **joined([spelt, bits]), "description": "another spelling"}
    keys["precision"] = {**precision, "anyOf": [{**precision, **usual}, other]}
    return _undoable(keys, settings)


def _undoable(keys: Json, settings: str) -> Json:
    """The keys of a section, which may be null where that undoes what the recipe below says."""
    if settings == SETTINGS:
        return keys
    return {name: _or_null(body) for name, body in keys.items()}


def _or_null(body: Json) -> Json:
    if "enum" in body:
        return {**body, "enum": [*body["enum"], *([] if None in body["enum"] else [None])]}
    if "type" in body:
        types = body["type"] if isinstance(body["type"], list) else [body["type"]]
        return {**body, "type": [*types, *([] if "null" in types else ["null"])]}
    return body if NULL in body.get("anyOf", [NULL]) else {**body, "anyOf": [*body["anyOf"], NULL]}


def _optimizer(settings: str) -> Json:
    """One optimizer, or several by name: mappings without a type all of whose values are mappings."""
    one = slot("optimizer", settings=settings)
    groups = {"if": {"minProperties": 1, "additionalProperties": {"type": "object"}}, "else": one["then"]}
    groups["then"] = {"additionalProperties": slot("optimizer", settings=settings)}
    return {**one, "then": {"if": {"required": ["type"]}, "then": one["then"], "else": groups}}


def _extends() -> Json:
    shipped: list[str] = [entry.name for entry in catalogue().of_kind("recipe")]
    named: Any = {"anyOf": [{"enum": shipped}, {"type": "string"}]}
    return {"anyOf": [{"enum": shipped}, {"type": ["string", "array"], "items": named}]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}
