"""The hooks, one per kind of component. A hook returns data, ``{name: "package.module:Class"}``; it imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

PROJECT = "stemcore"
API_VERSION = "1.0"
"""The version of the plugin API. A plugin may declare the one that it was written for, ``STEM_API = "1.0"`` beside its
hooks: it is loaded where the first number is the same and the second is not above this one."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Names = Mapping[str, str]


@hookspec
def stem_datasets() -> Names:  # type: ignore[empty-body]
    """Where items come from: ``stemcore.Dataset``."""


@hookspec
def stem_transforms() -> Names:  # type: ignore[empty-body]
    """Preprocessing fitted on the training split and saved with the model: ``stemcore.Transform``."""


@hookspec
def stem_augmentations() -> Names:  # type: ignore[empty-body]
    """Random changes of training batches: ``stemcore.Augmentation``."""


@hookspec
def stem_samplers() -> Names:  # type: ignore[empty-body]
    """Which items an epoch visits: ``stemcore.Sampler``."""


@hookspec
def stem_models() -> Names:  # type: ignore[empty-body]
    """Networks: ``stemcore.Model``."""


@hookspec
def stem_losses() -> Names:  # type: ignore[empty-body]
    """Data terms and regularizers alike: ``stemcore.Loss``."""


@hookspec
def stem_metrics() -> Names:  # type: ignore[empty-body]
    """Scores accumulated over a data set: ``stemcore.Metric``."""


@hookspec
def stem_backends() -> Names:  # type: ignore[empty-body]
    """Devices: ``stemcore.Backend``."""


@hookspec
def stem_optimizers() -> Names:  # type: ignore[empty-body]
    """Callables ``(params, *, ...)`` that return a ``torch.optim.Optimizer``."""


@hookspec
def stem_schedulers() -> Names:  # type: ignore[empty-body]
    """Callables ``(optimizer, total_steps, *, ...)`` that return a learning-rate scheduler."""


@hookspec
def stem_weight_schedules() -> Names:  # type: ignore[empty-body]
    """The weight of a loss term over the epochs: ``stemcore.WeightSchedule``."""


@hookspec
def stem_callbacks() -> Names:  # type: ignore[empty-body]
    """Code that the trainer calls at named moments: ``stemcore.Callback``."""


@hookspec
def stem_loggers() -> Names:  # type: ignore[empty-body]
    """Where scalars and figures are recorded: ``stemcore.Logger``."""


@hookspec
def stem_figures() -> Names:  # type: ignore[empty-body]
    """Pictures of a run: ``stemcore.Figure``."""


@hookspec
def stem_commands() -> Names:  # type: ignore[empty-body]
    """Verbs added to the command line: a ``stemcore.Command``."""


@hookspec
def stem_recipes() -> Names:  # type: ignore[empty-body]
    """Recipes shipped as package files: ``{name: "package:folder/file.yaml"}``."""


@hookspec
def stem_options() -> Names:  # type: ignore[empty-body]
    """Sections of recipes under a name, shipped as package files: ``{"model/mae_large": "package:folder/file.yaml"}``
    for ``model=mae_large``."""


@hookspec
def stem_defaults() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Top-level recipe keys used where a recipe leaves them out, such as ``{"optimizer": {"type": ...}}``."""


@hookspec
def stem_examples() -> Names:  # type: ignore[empty-body]
    """What contract checks need to know of a component: ``{"kind/name": "package.module:function"}``, see
    ``stemcore.testing``."""
