"""What a recipe sees of the plugin: names, schemas and strict checks of the configuration."""

import pytest
import torch
from stem_transforms import plugin

from stemcore import Augmentation, DataSpec, FieldSpec, Transform
from stemcore.plugins.catalogue import catalogue

FIELD = FieldSpec("input", (1, 12, 12), "uint16", "counts", minimum=0)
REQUIRED = {"crop": {"size": [8, 6]}, "resize": {"size": 6}, "noise": {"std": 0.5}}
GOOD = [
    ("transform", "sqrt", {"offset": 0, "inverse": "algebraic"}),
    ("transform", "crop", {"size": 8, "offset": [0, 4]}),
    ("transform", "bin", {"factor": [2, 5], "crop_remainder": True}),
    ("transform", "resize", {"size": [6, 7], "preserve_sum": True}),
    ("transform", "center", {"shift": [1, -2]}),
    ("transform", "center", {"per": "scan", "radius": 3.5, "integer": False}),
    ("augmentation", "flip", {"vertical": False, "p": 0.2, "fields": ["input"]}),
    ("augmentation", "poisson", {"mode": "split", "fraction": [0.3, 0.7]}),
]
BAD = [
    ("transform", "sqrt", {"offset": -1}),
    ("transform", "crop", {"size": [8]}),
    ("transform", "crop", {"size": [0, 8]}),
    ("transform", "crop", {}),
    ("transform", "bin", {"factor": 2.0}),
    ("transform", "resize", {"size": "6"}),
    ("transform", "center", {"per": "item"}),
    ("augmentation", "flip", {"p": 1.5}),
    ("augmentation", "flip", {"horizontal": 1}),
    ("augmentation", "poisson", {"fraction": 0}),
    ("augmentation", "noise", {"std": -1}),
    ("augmentation", "noise", {"std": 1.0, "mean": 0.0}),
]


def entries():
    offered = [("transform", n) for n in plugin.stem_transforms()]
    return [*offered, *(("augmentation", n) for n in plugin.stem_augmentations())]


def schema(kind, name):
    return catalogue().schema(catalogue().find(kind, f"transforms/{name}"))


def build(kind, name, config):
    arguments, problems = schema(kind, name).validate(config)
    assert not problems
    return schema(kind, name).build(FIELD if kind == "transform" else DataSpec({"input": FIELD}), **arguments)


@pytest.mark.parametrize(("kind", "name"), entries())
def test_each_component_is_described_and_builds_on_the_meta_device(kind, name):
    described = schema(kind, name)
    assert described.summary
    for key, info in described.model.model_fields.items():
        assert info.description, f"{name}.{key}"
    with torch.device("meta"):
        component = build(kind, name, REQUIRED.get(name, {}))
    assert isinstance(component, Transform if kind == "transform" else Augmentation)
    assert not list(component.parameters())


@pytest.mark.parametrize(("kind", "name", "config"), GOOD)
def test_configurations_that_are_right(kind, name, config):
    component = build(kind, name, config)
    if kind == "transform" and not component.fitted:
        assert component(torch.ones(2, 1, 12, 12)).shape[1:] == component.out_spec().shape


@pytest.mark.parametrize(("kind", "name", "config"), BAD)
def test_configurations_that_are_wrong(kind, name, config):
    assert schema(kind, name).validate(config)[1]
