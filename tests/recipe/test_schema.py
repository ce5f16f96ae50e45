from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stemcore.recipe import load_recipe
from stemcore.recipe.schema import json_schema
from stemcore.recipe.source import read_yaml

TYPES: dict[str, Any] = {
    **{"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)},
    **{"integer": int, "number": (int, float)},
}


def valid(value: Any, schema: Any, root: Any) -> bool:
    """The keywords of JSON Schema that a recipe's schema uses, by their definitions in draft 2020-12."""
    if isinstance(schema, bool):
        return schema
    unknown = set(schema) - {
        *("$schema", "$defs", "title", "description", "default", "$ref", "anyOf", "allOf", "not", "if", "then", "type"),
        *("enum", "const", "properties", "additionalProperties", "required", "items", "prefixItems", "minItems"),
        *("maxItems", "uniqueItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern"),
        *("maxLength", "minLength", "format"),
    }
    assert not unknown, unknown
    results = []
    if "$ref" in schema:
        results.append(valid(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root))
    results += [any(valid(value, arm, root) for arm in schema["anyOf"])] if "anyOf" in schema else []
    results += [valid(value, arm, root) for arm in schema.get("allOf", ())]
    results += [not valid(value, schema["not"], root)] if "not" in schema else []
    if "if" in schema and valid(value, schema["if"], root):
        results.append(valid(value, schema["then"], root))
    if "type" in schema:
        ok = isinstance(value, TYPES[schema["type"]])
        results.append(ok and (schema["type"] == "boolean" or not isinstance(value, bool)))
    results += [value in schema["enum"]] if "enum" in schema else []
    results += [value == schema["const"]] if "const" in schema else []
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        results += [valid(v, properties.get(k, more), root) for k, v in value.items()]
        results += [key in value for key in schema.get("required", ())]
    if isinstance(value, list):
        prefix = schema.get("prefixItems", [])
        results += [valid(v, s, root) for v, s in zip(value, prefix, strict=False)]
        results += [valid(v, schema.get("items", True), root) for v in value[len(prefix) :]]
        results += [schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        results += [value >= schema.get("minimum", value), value <= schema.get("maximum", value)]
        results += [value > schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
        results += [value < schema["exclusiveMaximum"]] if "exclusiveMaximum" in schema else []
    if isinstance(value, str) and "pattern" in schema:
        results.append(re.search(schema["pattern"], value) is not None)
    return all(results)


@pytest.fixture
def check(toy: Path) -> Any:
    schema = json_schema()
    return lambda text: valid(read_yaml(text, "r", []).plain(), schema, schema)


BODY = "stem: 1\nname: a\ndata: {train: {type: toy_scan, path: x}}\noptimizer: toy_adam\n"


def test_resolved_recipes_are_valid(toy_recipe: Path) -> None:
    schema = json_schema()
    recipe = load_recipe(
        toy_recipe, ["data.val={type: toy_table}", "losses.toy_mse.weight={type: toy_ramp, from: 0.5}"]
    )
    assert valid(recipe.document(), schema, schema)
    groups = load_recipe(toy_recipe, ["optimizer={a: {type: toy_adam, losses: [toy_mse]}}"])
    assert valid(groups.document(), schema, schema)


@pytest.mark.parametrize(
    "text",
    [
        "model: toy_net\nlosses: {toy_mse: {}}",
        "model: {type: toy/toy_net, latent_dim: 3, act: null}\nlosses: {toy_mse: {weight: 2, inputs: {a: b}}}",
        "model: toy_net\nlosses: {mine: {type: toy_mse, weight: {type: toy_ramp, from: 0}}}",
        "model: toy_net\nlosses: {toy_mse: {type: toy_penalty, eps: 1}}",
        "model: toy_net\nlosses: {toy_mse: null, mine: toy_penalty}",
        "model: toy_net\nscheduler: null\nmetrics: {toy_psnr: {every_n_steps: 3}}\nloggers: [toy_file]",
        "model: toy_net\ntrainer: {devices: [0, 1], precision: '32', early_stopping: {patience: 3}}",
        "model: toy_net\nbackend: {type: toy_tpu, p: 3.0}\nfigures: {toy_curve: {every_n_epochs: 3}}",
        "extends: other\nmodel: {latent_dim: 3}",
    ],
)
def test_what_it_allows(check: Any, text: str) -> None:
    assert check(BODY + text)


@pytest.mark.parametrize(
    "text",
    [
        "model: toy_nt",
        "model: {latent_dim: 3}",
        "losses: {toy_mse: {}}",
        "model: {type: toy_net, latent_dims: 3}",
        "model: {type: toy_net, latent_dim: 0}",
        "model: {type: toy_net, latent_dim: '3'}",
        "model: toy_net\nlosses: {mine: {weight: 2}}",
        "model: toy_net\nlosses: {toy_mse: {weight: -1}}",
        "model: toy_net\nlosses: {toy_mse: {eps: 1}}",
        "model: toy_net\nfoo: 1",
        "model: toy_net\ntrainer: {max_epochs: 0}",
        "model: toy_net\nloggers: toy_file",
        "model: toy_net\nbackend: toy_gpu",
        "model: toy_gone",
    ],
)
def test_what_it_refuses(check: Any, text: str) -> None:
    assert not check(BODY + text)


def test_it_describes_components_and_leaves_broken_ones_out(toy: Path) -> None:
    defs = json_schema()["$defs"]
    scan = defs["dataset.toy.toy_scan"]
    assert scan["description"] == "A scan."
    assert scan["properties"]["path"]["description"] == "the file."
    assert scan["properties"]["size"]["minimum"] == 1
    assert set(defs["weight_schedule.toy.toy_ramp"]["properties"]) == {"type", "from", "to"}
    assert "model.toy.toy_gone" not in defs
    assert "toy_gone" not in defs["model"]["anyOf"][0]["enum"]
    assert list(json_schema()["properties"])[:4] == ["stem", "name", "seed", "extends"]
