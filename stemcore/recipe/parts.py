"""Components of a recipe, found and checked, with the core's keys beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stemcore.plugins import Entry, catalogue
from stemcore.plugins.signature import Schema


@dataclass(frozen=True)
class Component:
    """A component of a recipe: what was found under its name, and its checked configuration.

    Attributes:
        kind: its kind.
        entry: its place in the catalogue.
        schema: the configuration it takes.
        arguments: keyword arguments, defaults filled in.
        where: ``file:line`` in the recipe.
    """

    kind: str
    entry: Entry
    schema: Schema = field(compare=False)
    arguments: dict[str, Any]
    where: str = field(default="", compare=False)

    @property
    def type(self) -> str:
        """Its name in a recipe: the bare one where that is unambiguous."""
        same = [e for e in catalogue().of_kind(self.kind) if e.name == self.entry.name]
        return self.entry.name if len(same) < 2 else self.entry.qualified

    def build(self, *given: Any) -> Any:
        """The component itself, from what the core hands over by position."""
        return self.schema.build(*given, **self.arguments)

    def document(self, **core: Any) -> dict[str, Any]:
        """As plain data: the type, the core's keys, and the configuration."""
        return {"type": self.type, **core, **self.schema.document(self.arguments)}


@dataclass(frozen=True)
class LossTerm:
    """A term of the total loss: its weight (a number, or a schedule), the renaming of its inputs, and whether it gets
    the items of all devices."""

    component: Component
    weight: float | Component
    inputs: dict[str, str]
    gather: bool = False


@dataclass(frozen=True)
class MetricTerm:
    """A metric, the renaming of its inputs, and how often it is computed while training (null: never)."""

    component: Component
    inputs: dict[str, str]
    every_n_steps: int | None


@dataclass(frozen=True)
class FigureTerm:
    """A figure, the renaming of its inputs, and how often it is drawn (0: at the end alone)."""

    component: Component
    inputs: dict[str, str]
    every_n_epochs: int


@dataclass(frozen=True)
class OptimizerGroup:
    """An optimizer, the parameters it owns (null: all) and the losses it minimises (null: all)."""

    component: Component
    parameters: list[str] | None
    losses: list[str] | None
