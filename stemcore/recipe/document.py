"""The recipe as a typed document: its fixed parts are checked, its components stand ready to be built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stemcore.errors import Problem
from stemcore.recipe.node import Node, Place
from stemcore.recipe.parts import Component, FigureTerm, LossTerm, MetricTerm, OptimizerGroup
from stemcore.recipe.sections import DataConfig, TrainerConfig
from stemcore.recipe.slots import is_groups
from stemcore.recipe.writing import as_yaml, optimizer, plain


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. Every component is found and its configuration valid; nothing is built yet.

    ``requires`` has the distributions of all its components, ``deprecations`` what in it will go away.
    """

    stem: int
    name: str
    seed: int
    requires: list[str]
    data: DataConfig
    model: Component
    losses: dict[str, LossTerm]
    metrics: dict[str, MetricTerm]
    optimizer: dict[str, OptimizerGroup]
    scheduler: Component | None
    trainer: TrainerConfig
    backend: Component | None
    loggers: list[Component]
    figures: dict[str, FigureTerm]
    callbacks: dict[str, Component]
    tree: Node = field(repr=False, compare=False)
    deprecations: tuple[Problem, ...] = field(default=(), repr=False, compare=False)

    def components(self) -> Iterator[tuple[Place, Component]]:
        """Every component with its place."""
        data = self.data
        named: list[tuple[Place, Any]] = [(("data", k), getattr(data, k)) for k in ("train", "val", "test", "sampler")]
        named += [(("data", "augment", i), found) for i, found in enumerate(data.augment)]
        for field_name, chain in data.transforms.items():
            named += [(("data", "transforms", field_name, i), found) for i, found in enumerate(chain)]
        named.append((("model",), self.model))
        for section in ("losses", "metrics", "figures"):
            named += [((section, key), term.component) for key, term in getattr(self, section).items()]
        named += [(("losses", key, "weight"), term.weight) for key, term in self.losses.items()]
        grouped = is_groups(self.tree.nearest(("optimizer",)))
        named += [(("optimizer", key) if grouped else ("optimizer",), g.component) for key, g in self.optimizer.items()]
        named += [(("scheduler",), self.scheduler), (("backend",), self.backend)]
        named += [(("loggers", i), found) for i, found in enumerate(self.loggers)]
        named += [(("callbacks", key), found) for key, found in self.callbacks.items()]
        yield from ((place, found) for place, found in named if isinstance(found, Component))

    def document(self) -> dict[str, Any]:
        """The recipe as plain data, defaults filled in: reading it gives an equal recipe."""
        return {
            "stem": self.stem,
            "name": self.name,
            "seed": self.seed,
            "requires": list(self.requires),
            "data": {name: plain(getattr(self.data, name)) for name in type(self.data).model_fields},
            "model": self.model.document(),
            "losses": {
                key: term.component.document(weight=plain(term.weight), inputs=dict(term.inputs), gather=term.gather)
                for key, term in self.losses.items()
            },
            "metrics": {
                key: term.component.document(inputs=dict(term.inputs), every_n_steps=term.every_n_steps)
                for key, term in self.metrics.items()
            },
            "optimizer": optimizer(self.optimizer),
            "scheduler": plain(self.scheduler),
            "trainer": self.trainer.model_dump(),
            "backend": "auto" if self.backend is None else self.backend.document(),
            "loggers": [logger.document() for logger in self.loggers],
            "figures": {
                key: term.component.document(inputs=dict(term.inputs), every_n_epochs=term.every_n_epochs)
                for key, term in self.figures.items()
            },
            "callbacks": {key: callback.document() for key, callback in self.callbacks.items()},
        }

    def to_yaml(self) -> str:
        """:meth:`document` as YAML, keys in their usual order."""
        head = f"{self.name}: resolved, with every default written out. Running it again is the same run."
        return as_yaml(self.document(), head)

    def where(self, place: Place) -> str:
        """``file:line`` of a key, or of the innermost one around it that was written down."""
        return self.tree.nearest(place).where
