"""What a run is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stemcore.assemble.sources import Sources, placed
from stemcore.assemble.wiring import Supply, Tensors, Wires
from stemcore.component.backend import Backend
from stemcore.component.callback import Callback
from stemcore.component.fields import DataSpec
from stemcore.component.metric import Direction
from stemcore.component.model import Model
from stemcore.component.sampler import Sampler
from stemcore.data.buffers import BatchMemory
from stemcore.data.chain import Values
from stemcore.data.pipeline import Pipeline
from stemcore.errors import Problem, UserError
from stemcore.recipe import Recipe


@dataclass
class Term:
    """A loss, metric or figure with its wires; for metrics and figures how often it is wanted, for losses whether it
    gets the items of all processes."""

    name: str
    component: Any
    wires: Wires
    every: int | None = None
    gather: bool = False


@dataclass
class Parts:
    """Everything a run is made of. The model is built by :meth:`build_model`, once the seed is set."""

    recipe: Recipe
    sources: Sources
    pipeline: Pipeline
    spec: DataSpec
    skeleton: Model
    backend: Backend
    supply: Supply
    losses: list[Term] = field(default_factory=list)
    weights: dict[str, Callable[[float], float]] = field(default_factory=dict)
    metrics: list[Term] = field(default_factory=list)
    figures: list[Term] = field(default_factory=list)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    directions: dict[str, Direction] = field(default_factory=dict)
    model_wires: Wires = field(default_factory=lambda: Wires((), ()))
    sampler: Sampler | None = None
    memory: BatchMemory = field(default_factory=BatchMemory, repr=False)

    def build_model(self) -> Model:
        """The model with its initial weights, which depend on the seed alone."""
        torch.manual_seed(self.recipe.seed)
        model: Model = self.recipe.model.build(self.spec)
        return model

    def given(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What of a batch the model takes: optional fields may be absent."""
        return {wire.source: batch[wire.source] for wire in self.model_wires if wire.source in batch}

    def tensors(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Tensors:
        """Batch and outputs, in any space."""
        return Tensors(batch, outputs, self.supply.chains)

    def context(self, model: Model, progress: float = 0.0) -> dict[str, Any]:
        """What components may name besides tensors."""
        chain = self.pipeline.chain("input")
        values = Values(chain) if chain is not None else None
        return {"model": model, "transforms": values, "progress": progress, "spec": self.spec}


@contextmanager
def collecting(problems: list[Problem], where: str = "") -> Iterator[None]:
    """Turns a UserError raised inside into entries of ``problems``."""
    try:
        yield
    except UserError as error:
        problems += [placed(p, where) for p in error.problems]
