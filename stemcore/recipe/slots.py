"""Where components stand in a recipe, and which keys beside them belong to the core."""

from __future__ import annotations

from stemcore.recipe.node import Node, Place

_SLOTS: dict[tuple[str, ...], str] = {
    ("data", "train"): "dataset",
    ("data", "val"): "dataset",
    ("data", "test"): "dataset",
    ("data", "augment", "*"): "augmentation",
    ("data", "transforms", "*", "*"): "transform",
    ("data", "sampler"): "sampler",
    ("model",): "model",
    ("losses", "*"): "loss",
    ("losses", "*", "weight"): "weight_schedule",
    ("metrics", "*"): "metric",
    ("optimizer",): "optimizer",
    ("scheduler",): "scheduler",
    ("backend",): "backend",
    ("loggers", "*"): "logger",
    ("figures", "*"): "figure",
    ("callbacks", "*"): "callback",
}

SECTIONS = (
    "data", "model", "losses", "metrics", "optimizer", "scheduler",
    "trainer", "backend", "loggers", "figures", "callbacks",
)  # fmt: skip
"""The keys of a recipe that are sections or components, in their usual order."""

EXTENDS, STAGES, VERB = "extends", "stages", "verb"
"""The key of the recipes below a recipe, that of a ladder's stages, and that of a stage that is no recipe."""

KEYED = {"losses": "loss", "metrics": "metric", "figures": "figure", "callbacks": "callback"}
"""Sections whose components are keyed by name, and whose ``type`` is the key unless it is given."""


def kind_at(place: Place) -> str | None:
    """The kind of component that stands at a place, null where none does."""
    for pattern, kind in _SLOTS.items():
        if len(pattern) == len(place) and all(p in ("*", key) for p, key in zip(pattern, place, strict=True)):
            return kind
    return None


def is_groups(node: Node) -> bool:
    """Whether the value of ``optimizer`` is a mapping of groups rather than one optimizer."""
    value = node.value
    return (
        isinstance(value, dict)
        and bool(value)
        and "type" not in value
        and all(isinstance(child.value, dict) for child in value.values())
    )
