"""What a generated component of each kind is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stemcore.component.kinds import KINDS

_CLASSES = {
    "dataset": ("scan", "RawScan"),
    "transform": ("power", "Power"),
    "augmentation": ("dead_pixels", "DeadPixels"),
    "sampler": ("share", "ShareOfBlocks"),
    "model": ("autoencoder", "DenseAutoencoder"),
    "loss": ("log_cosh", "LogCosh"),
    "metric": ("centre_shift", "CentreShift"),
    "backend": ("threads", "FixedThreads"),
    "optimizer": ("nesterov_adam", "nesterov_adam"),
    "scheduler": ("trapezium", "trapezium"),
    "weight_schedule": ("gentle", "Gentle"),
    "callback": ("budget", "TimeBudget"),
    "logger": ("jsonl", "JsonLines"),
    "figure": ("mean_pattern", "MeanPattern"),
    "command": ("best", "best"),
}
"""The last part of the component's name, and the class or function behind it."""

_EXAMPLES = {
    "dataset": "DatasetExample",
    "loss": "LossExample",
    "metric": "MetricExample",
    "command": "CommandExample",
}
"""The kinds that need an example, with its class."""


def answers(distribution: str, package: str, kinds: Sequence[str]) -> dict[str, Any]:
    """What the templates ask for about the components."""
    names = {kind: f"{package}_{last}" for kind, (last, _) in _CLASSES.items()}
    names["command"] = f"{distribution}-{_CLASSES['command'][0]}"
    return {
        "distribution": distribution,
        "package": package,
        "kinds": list(kinds),
        "names": names,
        "classes": {kind: target for kind, (_, target) in _CLASSES.items()},
        "modules": {kind: kind for kind in _CLASSES},
        "hooks": {kind: KINDS[kind].hook for kind in _CLASSES},
        "with_example": list(_EXAMPLES),
        "example_classes": sorted({"RecipeExample", *(_EXAMPLES[kind] for kind in kinds if kind in _EXAMPLES)}),
    }
