"""What a callback sees of a run that trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from stemcore.component.callback import State
from stemcore.component.logger import Logger
from stemcore.component.model import Model
from stemcore.errors import UserError, close_match
from stemcore.trainer.feed import loader_of
from stemcore.trainer.setup import Setup

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class RunState(State):
    """The state of a run, with its data, transforms, averaged weights and loggers.

    Args:
        setup: model, data and processes.
        directory: of the run.
        loggers: where figures go (on the first process).
    """

    def __init__(self, setup: Setup, directory: Path, loggers: Sequence[Logger]) -> None:
        seed = setup.parts.recipe.seed
        super().__init__(setup.model, directory, setup.max_epochs, setup.steps_per_epoch, seed=seed)
        self._setup, self._loggers = setup, loggers

    @property
    def first(self) -> bool:
        """Whether this is the first process."""
        return self._setup.first

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._setup.fabric.device

    @contextmanager
    def evaluation(self) -> Iterator[Model]:
        """The model with averaged weights, in evaluation mode, with random numbers of its own."""
        with self._setup.averaged(), super().evaluation() as model:
            yield model

    def autocast(self) -> AbstractContextManager[Any]:
        """The run's precision."""
        return self._setup.fabric.autocast()

    def physical(self, name: str, tensor: Tensor) -> Tensor:
        """Values of a field or an output, taken back through the transforms."""
        supply = self._setup.parts.supply
        if name not in supply.names():
            raise UserError(f"the run has no field or output '{name}'", hint=close_match(name, supply.names()))
        chain = supply.chains.get(name)
        return tensor if chain is None else chain.inverse(tensor.float())

    def items(self, part: Literal["train", "val"] = "train") -> Iterator[dict[str, Tensor]]:
        """The run's data in order, all of them in each process that asks."""
        parts, fabric = self._setup.parts, self._setup.fabric
        source = {"train": parts.sources.train, "val": parts.sources.val}[part]
        if source is None:
            return
        loader = replace(loader_of(parts, fabric), rank=0, world=1)
        for stored in loader.ordered(source, parts.recipe.data.evaluation_batch_size):
            batch = parts.pipeline(stored)
            yield {**parts.given(batch), "index": batch["index"]}

    def show(self, name: str, figure: Drawing, *, numbered: bool = True) -> Path | None:
        """Keeps a figure, on the first process."""
        if not self.first:
            return None
        path = super().show(name, figure, numbered=numbered)
        for logger in self._loggers:
            logger.figure(name, figure, step=self.step)
        return path
