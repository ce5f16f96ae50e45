"""The parts of a recipe as plain data and as YAML."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

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


def as_yaml(document: dict[str, Any], head: str) -> str:
    """A document as YAML behind a comment, keys in their order."""
    return f"# {head}\n" + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def optimizer(groups: dict[str, OptimizerGroup]) -> dict[str, Any]:
    """One optimizer of everything is written as such, groups under their names."""
    only = groups.get("default")
    if len(groups) == 1 and only is not None and only.parameters is None and only.losses is None:
        return only.component.document()
    return {
        key: group.component.document(parameters=group.parameters, losses=group.losses) for key, group in groups.items()
    }


def plain(value: Any) -> Any:
    """A value of a recipe as plain data."""
    if isinstance(value, Component):
        return value.document()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
