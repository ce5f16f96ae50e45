"""Callbacks: code that the trainer calls at named moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from stemcore.component.evaluation import evaluation
from stemcore.component.metric import Direction
from stemcore.component.model import Model
from stemcore.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass
class State:
    """What a callback sees of a run. ``metrics`` holds the newest epoch's values by their logged names,
    ``history`` those of every epoch. ``model`` has the weights that are trained; those that the run is judged by, which
    are averages where the recipe has ``trainer.ema``, are there within :meth:`evaluation`."""

    model: Model
    directory: Path
    max_epochs: int
    steps_per_epoch: int
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    stop_reason: str | None = None
    seed: int = 0

    def report(self, values: Mapping[str, float]) -> None:
        """Adds scalars to those of the epoch, for loggers, ``metrics`` and ``history``, under names that the callback's
        :meth:`Callback.reports` announces. From ``on_validation_end`` or ``on_epoch_end``."""
        self.metrics.update(values)
        if self.history and self.history[-1].get("epoch") == self.epoch:
            self.history[-1].update(values)

    def stop(self, reason: str) -> None:
        """Ends training after the current epoch."""
        self.stop_reason = self.stop_reason or reason

    @property
    def first(self) -> bool:
        """Whether this is the first process of the run: what is drawn or written is its to do."""
        return True

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @contextmanager
    def evaluation(self) -> Iterator[Model]:
        """The model as checkpoints keep it: averaged weights where there are such, in evaluation mode, without
        gradients. Random numbers begin at the run's seed, the same each time, and leave the training's as they were.

        Under ``strategy: fsdp`` all processes have to take part in what the model computes, and do the same.
        """
        with evaluation(self.model, self.seed):
            yield self.model

    def autocast(self) -> AbstractContextManager[Any]:
        """The run's precision, for what the model computes; elsewhere numbers are in float32."""
        return nullcontext()

    def physical(self, name: str, tensor: Tensor) -> Tensor:
        """Values (n, ...) of a field or an output of the model, such as ``input`` or ``prediction``, taken back through
        the transforms to physical units, differentiably; what no transform changes stays as it is.

        Raises:
            UserError: if the run has nothing of that name.
        """
        return tensor

    def items(self, part: Literal["train", "val"] = "train") -> Iterator[dict[str, Tensor]]:
        """The run's data in order, batch by batch, without augmentations, after the transforms: fields by name, each
        (n, *shape), as the model takes them, and ``index`` (n,); on the device. Nothing for ``val`` where nothing is
        kept for validation."""
        return iter(())

    def show(self, name: str, figure: Drawing, *, numbered: bool = True) -> Path | None:
        """Keeps a matplotlib figure as ``figures/<name>_epoch<epoch>.png`` and hands it to the loggers.

        Args:
            name: of the figure, a file's name.
            figure: made without pyplot.
            numbered: whether each epoch has its own file; else the newest replaces the one before.

        Returns:
            the file; ``None`` in all processes but the first, where nothing is written.
        """
        path = self.directory / "figures" / (f"{name}_epoch{self.epoch:03d}.png" if numbered else f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=150, bbox_inches="tight"))
        return path


class Callback:
    """Override any of the ``on_*`` methods; a method of another name beginning with ``on_`` is an error. The ones
    overridden are called in order of ``order``, low first, ties by their place in the recipe."""

    order: ClassVar[int] = 0

    def reports(self) -> Mapping[str, Direction]:
        """The names of the scalars that it reports, such as ``memorization/share``, each with the direction that is
        better, ``"min"`` or ``"max"``, or ``None`` where neither is. Loggers have columns for them."""
        return {}

    def on_fit_start(self, state: State) -> None:
        """Before the first step, and after resuming."""

    def on_epoch_start(self, state: State) -> None:
        """Before the first batch of an epoch."""

    def on_step_end(self, state: State) -> None:
        """After every optimizer step: costs time on the hot path, so do little."""

    def on_validation_end(self, state: State) -> None:
        """After validation; ``state.metrics`` is complete."""

    def on_epoch_end(self, state: State) -> None:
        """After an epoch, before its checkpoint is written."""

    def on_fit_end(self, state: State) -> None:
        """After the last epoch, also when training was stopped early."""

    def state_dict(self) -> Mapping[str, Any]:
        """What must survive a resume: primitive types and tensors only."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state_dict`` returned."""
