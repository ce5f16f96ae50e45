"""The kinds of component: the hook that lists them and what the core hands to each constructor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes:
        name: as in ``kind/name`` on the command line.
        hook: the hookspec that lists components of this kind.
        given: positional parameters that the core hands over; keyword-only ones are the configuration.
        base: the public base class, empty where a plain callable serves.
    """

    name: str
    hook: str
    given: tuple[str, ...] = ()
    base: str = ""


FILES = ("recipe", "option")
"""The kinds that are YAML files of a package, rather than classes."""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("dataset", "stem_datasets", (), "Dataset"),
        Kind("transform", "stem_transforms", ("spec",), "Transform"),
        Kind("augmentation", "stem_augmentations", ("spec",), "Augmentation"),
        Kind("sampler", "stem_samplers", (), "Sampler"),
        Kind("model", "stem_models", ("spec",), "Model"),
        Kind("loss", "stem_losses", (), "Loss"),
        Kind("metric", "stem_metrics", (), "Metric"),
        Kind("backend", "stem_backends", (), "Backend"),
        Kind("optimizer", "stem_optimizers", ("params",)),
        Kind("scheduler", "stem_schedulers", ("optimizer", "total_steps")),
        Kind("weight_schedule", "stem_weight_schedules", ("total_epochs",), "WeightSchedule"),
        Kind("callback", "stem_callbacks", (), "Callback"),
        Kind("logger", "stem_loggers", ("directory",), "Logger"),
        Kind("figure", "stem_figures", (), "Figure"),
        Kind("command", "stem_commands", (), "Command"),
        Kind("recipe", "stem_recipes"),
        Kind("option", "stem_options"),
    )
}
