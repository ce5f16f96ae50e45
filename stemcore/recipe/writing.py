"""A recipe as plain data and as YAML."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

from stemcore.recipe.document import Recipe
from stemcore.recipe.parts import Component, OptimizerGroup
from stemcore.recipe.source import CoreLoader


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else, whichever reads it."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        first: [
            *CoreLoader.yaml_implicit_resolvers.get(first, []),
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*CoreLoader.yaml_implicit_resolvers, *yaml.SafeDumper.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:
        """Writes equal values out each time: a recipe is read by people."""
        return True


def document(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data, defaults filled in."""
    return {
        "stem": recipe.stem,
        "name": recipe.name,
        "seed": recipe.seed,
        "data": {name: _plain(getattr(recipe.data, name)) for name in type(recipe.data).model_fields},
        "model": recipe.model.document(),
        "losses": {
            key: term.component.document(weight=_plain(term.weight), inputs=dict(term.inputs))
            for key, term in recipe.losses.items()
        },
        "metrics": {
            key: term.component.document(inputs=dict(term.inputs), every_n_steps=term.every_n_steps)
            for key, term in recipe.metrics.items()
        },
        "optimizer": _optimizer(recipe.optimizer),
        "scheduler": _plain(recipe.scheduler),
        "trainer": recipe.trainer.model_dump(),
        "backend": "auto" if recipe.backend is None else recipe.backend.document(),
        "loggers": [logger.document() for logger in recipe.loggers],
        "figures": {
            key: term.component.document(inputs=dict(term.inputs), every_n_epochs=term.every_n_epochs)
            for key, term in recipe.figures.items()
        },
        "callbacks": {key: callback.document() for key, callback in recipe.callbacks.items()},
    }


def to_yaml(recipe: Recipe) -> str:
    """The recipe as YAML, keys in their usual order."""
    head = f"# {recipe.name}: resolved, with every default written out. Running it again is the same run.\n"
    return head + yaml.dump(
        document(recipe), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def _optimizer(groups: dict[str, OptimizerGroup]) -> dict[str, Any]:
    """One optimizer of everything is written as such, groups under their names."""
    only = groups.get("default")
    if len(groups) == 1 and only is not None and only.parameters is None and only.losses is None:
        return only.component.document()
    return {
        key: group.component.document(parameters=group.parameters, losses=group.losses) for key, group in groups.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return value.document()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
