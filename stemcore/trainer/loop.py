"""The training loop: one for every domain, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.component.callback import State
from stemcore.component.logger import Logger
from stemcore.component.model import Model
from stemcore.errors import Interrupted
from stemcore.progress import Reporter, Task
from stemcore.trainer.callbacks import own
from stemcore.trainer.callbacks.keeper import LAST
from stemcore.trainer.interrupt import Interrupt, interruptible
from stemcore.trainer.optim import rates, refuse_unreached, step_all
from stemcore.trainer.profile import Profile
from stemcore.trainer.run_state import RunState
from stemcore.trainer.setup import Limits, Position, Setup
from stemcore.trainer.snapshots import Snapshots
from stemcore.trainer.step import Crowd
from stemcore.trainer.validate import compute, update, validate

STORAGE_SECONDS = 10.0


class Trainer:
    """Trains the model of ``parts`` and leaves checkpoints, logs and figures in ``directory``.

    Args:
        parts: the assembled recipe, its transforms fitted.
        model: the model, its initial weights set.
        fabric: launched.
        directory: the run directory.
        loggers: where scalars and figures go (on the first process).
        reporter: progress.
        stamp: what every checkpoint carries besides: the recipe, the data's fingerprint.
        limits: for trials.
    """

    def __init__(
        self,
        parts: Parts,
        model: Model,
        fabric: Fabric,
        directory: Path,
        loggers: list[Logger],
        reporter: Reporter,
        stamp: Mapping[str, Any],
        limits: Limits | None = None,
    ) -> None:
        self.parts, self.model, self.fabric, self.directory = parts, model, fabric, directory
        self.recipe, self.config, self.loggers, self.reporter = parts.recipe, parts.recipe.trainer, loggers, reporter
        self.interrupt = Interrupt()
        # One of several processes that waits for storage holds on for a while: all are to stop at the same step.
        patience = 0.0 if fabric.world_size == 1 else STORAGE_SECONDS
        limits = limits or Limits()
        setup = self.setup = Setup(parts, model, fabric, limits, stop=lambda: self.interrupt.waited(patience))
        self.feed, self.together, self.passes = setup.feed, setup.together, setup.passes
        self.train_metrics = [t for t in parts.metrics if t.every]
        self.state = RunState(setup, directory, loggers)
        self.position = Position(setup.new_meter())
        self.seconds = 0.0
        self.items = 0
        self.keeper, self.record = own.keeper_of(setup), own.record_of(setup, loggers)
        self.callbacks = own.dispatch(setup, self.keeper, self.record)
        self.snapshots = Snapshots(setup, self.state, self.position, self.callbacks, directory / "checkpoints", stamp)

    def fit(self, resume: Mapping[str, Any] | None = None) -> State:
        """Trains to the end.

        Args:
            resume: a checkpoint's contents; training goes on exactly where it was taken.

        Raises:
            Interrupted: after SIGINT or SIGTERM, with ``last.ckpt`` written.
            TrainingFailed: if a loss is not finite; the last good checkpoint stays.
        """
        state, config = self.state, self.config
        self.snapshots.seed()
        if resume is not None:
            self.snapshots.restore(resume)
        if self.setup.first:
            for logger in self.loggers:
                logger.start(self.recipe.document(), own.columns(self.setup), state.step)
        self.callbacks("on_fit_start", state)
        if resume is None:
            self.snapshots.save()  # a run killed in its first epoch can be resumed, too
        started = time.monotonic()
        try:
            with (
                interruptible() as self.interrupt,
                Profile(config.profile and self.setup.first, self.directory) as profile,
                self.reporter.task("epochs", state.max_epochs, done=state.epoch) as epochs,
            ):
                while state.epoch < state.max_epochs and (state.stop_reason is None or self.position.batch):
                    self._train_epoch(profile)
                    self._end_epoch()
                    shown = {n: state.metrics[n] for n in ("train/loss", "val/loss") if n in state.metrics}
                    epochs.advance(1, **shown)
            self.callbacks("on_fit_end", state)
        finally:
            self.snapshots.saver.flush()
            self.seconds += time.monotonic() - started
        return state

    def _train_epoch(self, profile: Profile) -> None:
        state, config, position = self.state, self.config, self.position
        accumulate = config.accumulate_grad_batches
        if self._enough():  # resumed after its last step
            return
        self.callbacks("on_epoch_start", state)
        total = self.feed.batches_per_epoch
        self.setup.step.train()
        with self.reporter.task(f"epoch {state.epoch + 1}", total, done=position.batch) as task:
            for rows in self.feed.batches(state.epoch, start=position.batch):
                # The last window of an epoch may be shorter: its mean is over its own batches.
                first = position.batch - position.batch % accumulate
                window = min(accumulate, total - first)
                last = position.batch + 1 == first + window
                everywhere = self.feed.items(position.batch)
                with self.passes.window(last=last):
                    losses, values, tensors = self._forward(rows, everywhere)
                    self._backward(losses if window == 1 else [loss / window for loss in losses])
                position.meter.add(values, len(rows["index"]), rows["index"])
                self.items += everywhere
                position.batch += 1
                if not last:
                    continue
                self._optimizer_step()
                profile.step()
                self._after_step(rows, tensors, task, window)
                enough = self._enough()
                if self.together.any(self.interrupt.requested):
                    self._interrupted()
                if enough:
                    break
            else:
                if position.batch < total:  # storage kept the loop waiting until somebody asked it to stop
                    alone = self.together.world == 1  # else the others wait elsewhere, and cannot save
                    self._interrupted(between_steps=alone and position.batch % accumulate == 0)

    def _enough(self) -> bool:
        """Whether this was the last step that the recipe wants."""
        most = self.config.max_steps
        if most is None or self.state.step < most:
            return False
        self.state.stop(f"max_steps {most} reached")
        return True

    def _forward(self, rows: dict[str, Tensor], everywhere: int) -> tuple[Sequence[Tensor], Tensor, Any]:
        """The objectives of a batch and its losses; ``everywhere`` are the items that all processes have at the same
        time."""
        epoch, number = self.state.epoch, self.position.batch
        batch = self.setup.prepared(rows, epoch, number)
        position = epoch + number / self.feed.batches_per_epoch
        weights = {n: weight(position) for n, weight in self.parts.weights.items()}
        world = self.together.world
        crowd = Crowd(everywhere, world) if world > 1 else None
        losses, values, outputs = self.passes.forward(batch, weights, position / self.state.max_epochs, crowd)
        return losses, values, (batch, outputs)

    def _backward(self, losses: Sequence[Tensor]) -> None:
        groups = self.setup.groups
        if not self.setup.apart:
            self.passes.backward(losses[0])
            return
        for loss, group in zip(losses, groups, strict=True):
            self.passes.backward(loss, parameters=group.parameters, again=group is not groups[-1])

    def _optimizer_step(self) -> None:
        setup = self.setup
        if setup.apart and self.state.step == 0:
            refuse_unreached(setup.groups, self.recipe)
        for optimizer in setup.optimizers:
            if self.config.gradient_clip_val is not None:
                # Under fp16 an overflow is the scaler's to skip, not an error of clipping.
                self.fabric.clip_gradients(
                    setup.step, optimizer, max_norm=self.config.gradient_clip_val, error_if_nonfinite=False
                )
        step_all(setup.optimizers, getattr(self.fabric.strategy.precision, "scaler", None))
        for group in setup.groups:
            group.clear_gradients()
            group.step_scheduler("step", {})
        self.state.step += 1
        setup.average(self.state.step)

    def _after_step(self, rows: dict[str, Tensor], tensors: Any, task: Task, window: int) -> None:
        state, config, meter = self.state, self.config, self.position.meter
        if state.step % self.setup.read_every == 0:
            meter.read()
        task.advance(window)
        self.callbacks("on_step_end", state)
        logs = state.step % config.log_every_n_steps == 0
        due = [t for t in self.train_metrics if state.step % (t.every or 1) == 0]
        values: dict[str, float] = {}
        if due:
            context = self.parts.context(self.model, state.epoch / state.max_epochs)
            with torch.no_grad():
                update(due, self.parts.tensors(*tensors), context)
            values |= {f"step/{n}": v for n, v in compute(due).items()}
        if logs:
            recent = meter.recent()
            values |= {f"step/{n}": v for n, v in recent.items()} | rates(self.setup.groups)
            task.advance(0, loss=recent["loss"])
        if values:
            self.record.scalars(values, state)
        every = config.checkpoint.every_n_steps
        if every and state.step % every == 0:
            self.snapshots.save()

    def _end_epoch(self) -> None:
        state, groups = self.state, self.setup.groups
        means, epoch = self.position.meter.means(), state.epoch + 1
        last = epoch == state.max_epochs or state.stop_reason is not None
        due = epoch % self.config.val_every_n_epochs == 0 or last
        # Until here nothing of the run has changed since its last step. Of several processes none stops by itself.
        stop = (lambda: self.interrupt.requested) if self.together.world == 1 else (lambda: False)
        scores = validate(self.setup, epoch, self.reporter, stop) if due else {}
        if scores is None:
            self._interrupted()
        state.epoch, self.position.batch, self.position.meter = epoch, 0, self.setup.new_meter()
        state.metrics = {"epoch": float(epoch), "step": float(state.step)} | rates(groups)
        state.metrics |= {f"train/{n}": v for n, v in means.items()} | scores
        if scores:
            self.callbacks("on_validation_end", state)
        for group in groups:
            group.step_scheduler("epoch", state.metrics)
        state.history.append(dict(state.metrics))
        self.callbacks("on_epoch_end", state)
        reason = self.together.first(state.stop_reason)
        if reason is not None:  # every process stops as soon as one of them wants to
            state.stop(reason)
        self.snapshots.save([LAST, *self.keeper.names], now=False)
        for name in self.keeper.outdone:
            self.snapshots.saver.drop(name)

    def _interrupted(self, between_steps: bool = True) -> NoReturn:
        """Saves and stops; within the batches of one step the checkpoint of an earlier one stands."""
        if between_steps:
            self.snapshots.save()
        raise Interrupted(f"interrupted in epoch {self.state.epoch + 1} at step {self.state.step}")
