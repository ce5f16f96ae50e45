"""Checkpoints of a run that trains: taking them, and going on from one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stemcore.component.callback import State
from stemcore.trainer import checkpoint
from stemcore.trainer.callbacks.dispatch import Dispatch
from stemcore.trainer.callbacks.keeper import LAST
from stemcore.trainer.feed import refuse_other_batches
from stemcore.trainer.saver import Saver
from stemcore.trainer.setup import Position, Setup
from stemcore.trainer.sharding import whole


class Snapshots:
    """Takes checkpoints where an optimizer step has just ended, and puts everything back where one was taken.

    Args:
        setup: model, optimizers and processes.
        state: epochs and steps done.
        position: the place within the epoch.
        callbacks: of the run.
        folder: of the checkpoints.
        stamp: what every checkpoint carries besides: the recipe, the data's fingerprint.
    """

    def __init__(
        self,
        setup: Setup,
        state: State,
        position: Position,
        callbacks: Dispatch,
        folder: Path,
        stamp: Mapping[str, Any],
    ) -> None:
        self.setup, self.state, self.position, self.callbacks = setup, state, position, callbacks
        self.together = setup.together
        self.stamp = dict(stamp)
        self.saver = Saver(folder)

    def save(self, names: Sequence[str] = (LAST,), *, now: bool = True) -> None:
        """Saves a checkpoint; only called where an optimizer step has just ended. Where it need not be ``now``, it may
        wait for those of the next epochs."""
        if self.together.world == 1:
            self.saver.put(self._contents, names, now=now)
            return
        contents = self._contents()  # every process has a part of it
        if self.setup.first:
            self.saver.put(lambda: contents, names, now=now)
        self.setup.fabric.barrier()

    def seed(self, step: int = 0) -> None:
        """Random numbers of each process's own; those of the first go on from the making of the model."""
        if self.together.rank > 0 or step > 0:
            key = [self.setup.parts.recipe.seed, step, self.together.rank, 0x5EED]
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))

    def restore(self, contents: Mapping[str, Any]) -> None:
        """Goes on from a checkpoint, whose weights the model has already.

        Raises:
            UserError: if the batches, over all processes, are no longer those that the run was trained in.
        """
        training, state, setup = contents["training"], self.state, self.setup
        refuse_other_batches(training["batches"], setup.feed.shape, self.together.world)
        state.epoch, state.step, self.position.batch = training["epoch"], training["step"], training["batch"]
        state.history = [dict(h) for h in training["history"]]
        state.metrics = dict(state.history[-1]) if state.history else {}
        if state.epoch < state.max_epochs and training["stop_reason"] is not None:
            state.stop_reason = training["stop_reason"]
        self.position.meter.load_state_dict(training["meter"])
        for group, optimizer, scheduler in zip(
            setup.groups, training["optimizers"], training["schedulers"], strict=True
        ):
            group.load_optimizer(optimizer)
            if group.scheduler is not None:
                group.scheduler.load_state_dict(scheduler)
        if setup.averages is not None:
            setup.averages.load_state_dict(training["averages"])
        setup.fabric.strategy.precision.load_state_dict(training["precision"])
        self.callbacks.load_state_dict(training["callbacks"])
        random = training["random"]
        if len(random) == self.together.world:
            checkpoint.set_random_state(random[self.together.rank])
        else:
            self.seed(state.step)

    def _contents(self) -> dict[str, Any]:
        with self.setup.averaged():
            weights = checkpoint.flat_weights(self.setup.model, self.setup.parts.pipeline)
        return {**self.stamp, "weights": weights, "training": self._training()}

    def _training(self) -> dict[str, Any]:
        state, setup = self.state, self.setup
        return {
            "epoch": state.epoch,
            "batch": self.position.batch,
            "step": state.step,
            "stop_reason": state.stop_reason,
            "history": state.history,
            "meter": self.position.meter.state_dict(),
            "optimizers": [whole(g.optimizer.state_dict()) for g in setup.groups],
            "schedulers": [g.scheduler.state_dict() if g.scheduler is not None else {} for g in setup.groups],
            "precision": dict(setup.fabric.strategy.precision.state_dict()),
            "callbacks": self.callbacks.state_dict(),
            "random": self.together.each(checkpoint.random_state()),
            "batches": setup.feed.shape,
            "averages": setup.averages.state_dict() if setup.averages is not None else None,
        }
