"""Setting up: a run's model, losses, optimizers and data, each where it computes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import FrozenRun, Parts
from stemcore.component.model import Model
from stemcore.trainer.averaging import Averages
from stemcore.trainer.engine import channels_last, is_sharded
from stemcore.trainer.feed import Feed
from stemcore.trainer.meters import Meter
from stemcore.trainer.optim import build_groups, fuse, refuse_apart
from stemcore.trainer.passes import Passes
from stemcore.trainer.step import Step
from stemcore.trainer.together import Together


@dataclass(frozen=True)
class Limits:
    """Cuts a run short, for a trial of a recipe: batches per epoch and epochs; ``None`` for all."""

    train_batches: int | None = None
    val_batches: int | None = None
    epochs: int | None = None


@dataclass
class Position:
    """How far the current epoch is: batches trained on already, and their losses."""

    meter: Meter
    batch: int = 0


class Setup:
    """What a loop works with.

    Args:
        parts: the assembled recipe, its transforms fitted.
        model: the model, its initial weights set.
        fabric: launched.
        limits: for trials.
        stop: asked while waiting for storage: whether to end an epoch early.

    Attributes:
        step: model and losses, as Fabric wrapped them; ``passes`` calls it.
        groups: the optimizers; ``optimizers`` are the same as Fabric wrapped them.
        apart: whether each optimizer has a backward pass of its own, to its own parameters alone.
        feed: training batches.
        averages: of the weights, where the recipe wants them.
        read_every: steps after which losses are read from the device.
        together: the processes of the run.
    """

    def __init__(self, parts: Parts, model: Model, fabric: Fabric, limits: Limits, stop: Callable[[], bool]) -> None:
        recipe, config = parts.recipe, parts.recipe.trainer
        self.parts, self.model, self.fabric, self.limits = parts, model, fabric, limits
        self.together = Together(fabric)
        self.feed = Feed(parts, fabric, limits.train_batches, stop=stop)
        self.max_epochs = min(config.max_epochs, limits.epochs or config.max_epochs)
        self.steps_per_epoch = -(-self.feed.batches_per_epoch // config.accumulate_grad_batches)
        most = self.max_epochs * self.steps_per_epoch
        total_steps = min(most, config.max_steps or most)

        sharded = is_sharded(fabric)
        self.channels_last = channels_last(parts)
        if self.channels_last and not sharded:  # a share of a parameter has no such format
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.groups = [] if sharded else build_groups(recipe, model, total_steps)
        # Where an optimizer names its losses, each has a backward pass of its own, to its own parameters alone.
        named = [g.losses for g in recipe.optimizer.values()]
        self.apart = any(losses is not None for losses in named)
        refuse_apart(named, fabric.strategy, recipe)
        step = Step(model, parts, compiled=config.compile, shares=named if self.apart else [None])
        self.step = fabric.setup_module(step)
        if sharded:  # the parameters are others now
            self.groups = build_groups(recipe, model, total_steps)
        self.optimizers: list[Any] = [fabric.setup_optimizers(g.optimizer) for g in self.groups]
        self.passes = Passes(fabric, self.step)
        for group in self.groups:
            fuse(group.optimizer, model)
        # Reading a loss makes a GPU and its host wait for each other, and processes for one another.
        alone_on_cpu = fabric.device.type == "cpu" and self.together.world == 1
        self.read_every = 1 if alone_on_cpu else config.log_every_n_steps
        self.generator = torch.Generator(fabric.device)
        parts.pipeline.to(fabric.device)
        for frozen in [module for module in step.modules() if isinstance(module, FrozenRun)]:
            frozen.to(fabric.device)  # sharding moves parameters alone
        if config.compile:
            parts.pipeline.compile_transforms()
        self.averages = Averages(model, config.ema) if config.ema is not None else None

    @property
    def first(self) -> bool:
        """Whether this is the first process, which speaks and writes."""
        return self.together.rank == 0

    @torch.no_grad()
    def prepared(self, rows: dict[str, Tensor], epoch: int, number: int) -> dict[str, Tensor]:
        """Batch ``number`` of an epoch as the model takes it: augmented, by random numbers of its own, and
        transformed."""
        generator = None
        if self.parts.pipeline.augmentations:
            key = [self.parts.recipe.seed, epoch, number, self.fabric.global_rank, 0xA06]
            seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
            generator = self.generator.manual_seed(seed)
        batch = self.parts.pipeline(rows, generator, checked=True)
        return {n: _channels_last(t) for n, t in batch.items()} if self.channels_last else batch

    def average(self, step: int) -> None:
        """Takes the weights after an optimizer step into their averages, where the recipe wants these."""
        if self.averages is not None:
            self.averages.update(step)

    def averaged(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that the run is judged by: averages where the recipe wants them."""
        return nullcontext() if self.averages is None else self.averages.applied()

    def new_meter(self) -> Meter:
        """For the losses of an epoch."""
        return Meter(["loss", *(term.name for term in self.parts.losses)], self.together)


def _channels_last(t: Tensor) -> Tensor:
    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t
