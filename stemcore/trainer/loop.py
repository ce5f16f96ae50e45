"""The training loop: one for every domain, to be read from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import FrozenRun, Parts
from stemcore.assemble.monitors import metric_names
from stemcore.component.callback import Callback, State
from stemcore.component.logger import Logger
from stemcore.component.model import Model
from stemcore.errors import Interrupted
from stemcore.progress import Reporter, Task
from stemcore.trainer import checkpoint
from stemcore.trainer.callbacks.dispatch import Dispatch
from stemcore.trainer.callbacks.early_stopping import EarlyStopping
from stemcore.trainer.callbacks.keeper import LAST, Keeper
from stemcore.trainer.callbacks.record import Record
from stemcore.trainer.collect import collect
from stemcore.trainer.engine import channels_last, is_sharded
from stemcore.trainer.feed import Feed, refuse_other_batches
from stemcore.trainer.interrupt import Interrupt, interruptible
from stemcore.trainer.meters import Meter
from stemcore.trainer.optim import build_groups, fuse, refuse_apart, refuse_unreached, step_all
from stemcore.trainer.passes import Passes
from stemcore.trainer.profile import Profile
from stemcore.trainer.saver import Saver
from stemcore.trainer.sharding import whole
from stemcore.trainer.step import Crowd, Step
from stemcore.trainer.together import Together
from stemcore.trainer.validate import compute, update, validate

log = logging.getLogger("stemcore")
STORAGE_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """Cuts a run short, for a trial of a recipe: batches per epoch and epochs; ``None`` for all."""

    train_batches: int | None = None
    val_batches: int | None = None
    epochs: int | None = None


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
        limits: Limits = Limits(),
    ) -> None:
        recipe, config = parts.recipe, parts.recipe.trainer
        self.parts, self.model, self.fabric, self.directory = parts, model, fabric, directory
        self.reporter, self.stamp, self.limits = reporter, dict(stamp), limits
        self.recipe, self.config = recipe, config
        self.seed = recipe.seed
        self.interrupt = Interrupt()
        self.together = Together(fabric)
        self.first = self.together.rank == 0
        # One of several processes that waits for storage holds on for a while: all are to stop at the same step.
        patience = 0.0 if self.together.world == 1 else STORAGE_SECONDS
        self.feed = Feed(parts, fabric, limits.train_batches, stop=lambda: self.interrupt.waited(patience))
        accumulate = config.accumulate_grad_batches
        self.max_epochs = min(config.max_epochs, limits.epochs or config.max_epochs)
        steps_per_epoch = -(-self.feed.batches_per_epoch // accumulate)
        total_steps = min(self.max_epochs * steps_per_epoch, config.max_steps or self.max_epochs * steps_per_epoch)

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
        parts.pipeline.to(fabric.device)
        for frozen in [m for m in model.modules() if isinstance(m, FrozenRun)]:
            frozen.to(fabric.device)  # which sharding does with parameters alone
        if config.compile:
            parts.pipeline.compile_transforms()

        self.meter = Meter(["loss", *(t.name for t in parts.losses)], self.together)
        # Reading a loss makes a GPU and its host wait for each other, and processes for one another.
        alone_on_cpu = fabric.device.type == "cpu" and self.together.world == 1
        self.read_every = 1 if alone_on_cpu else config.log_every_n_steps
        self.generator = torch.Generator(fabric.device)
        self.train_metrics = [t for t in parts.metrics if t.every]
        self.state = State(model, directory, self.max_epochs, steps_per_epoch)
        self.batch = 0  # batches of the current epoch already trained on
        self.seconds = 0.0
        self.items = 0
        self.saver = Saver(directory / "checkpoints")
        self.callbacks = self._callbacks(loggers)
        self.loggers = loggers

    # ---------------------------------------------------------------- the loop

    def fit(self, resume: Mapping[str, Any] | None = None) -> State:
        """Trains to the end.

        Args:
            resume: a checkpoint's contents; training goes on exactly where it was taken.

        Raises:
            Interrupted: after SIGINT or SIGTERM, with ``last.ckpt`` written.
            TrainingFailed: if a loss is not finite; the last good checkpoint stays.
        """
        state, config = self.state, self.config
        self._seed()
        if resume is not None:
            self._restore(resume)
        self._start_loggers()
        self.callbacks("on_fit_start", state)
        if resume is None:
            self._save()  # a run killed in its first epoch can be resumed, too
        started = time.monotonic()
        try:
            with (
                interruptible() as self.interrupt,
                Profile(config.profile and self.first, self.directory) as profile,
                self.reporter.task("epochs", self.max_epochs, done=state.epoch) as epochs,
            ):
                while state.epoch < self.max_epochs and state.stop_reason is None:
                    self._train_epoch(profile)
                    self._end_epoch()
                    shown = {n: state.metrics[n] for n in ("train/loss", "val/loss") if n in state.metrics}
                    epochs.advance(1, **shown)
            self.callbacks("on_fit_end", state)
        finally:
            self.saver.flush()
            self.seconds += time.monotonic() - started
        return state

    def _train_epoch(self, profile: Profile) -> None:
        state, config = self.state, self.config
        accumulate = config.accumulate_grad_batches
        self.callbacks("on_epoch_start", state)
        total = self.feed.batches_per_epoch
        self.step.train()
        with self.reporter.task(f"epoch {state.epoch + 1}", total, done=self.batch) as task:
            for rows in self.feed.batches(state.epoch, start=self.batch):
                # The last window of an epoch may be shorter: its mean is over its own batches.
                first = self.batch - self.batch % accumulate
                window = min(accumulate, total - first)
                last = self.batch + 1 == first + window
                position = state.epoch + self.batch / total
                everywhere = self.feed.items(self.batch)
                with self.passes.window(last=last):
                    losses, values, tensors = self._forward(rows, position, everywhere)
                    self._backward(losses if window == 1 else [loss / window for loss in losses])
                items = len(rows["index"])
                self.meter.add(values, items, rows["index"])
                self.items += everywhere
                self.batch += 1
                if not last:
                    continue
                self._optimizer_step()
                profile.step()
                self._after_step(rows, tensors, task, window)
                if self.together.any(self.interrupt.requested):
                    self._interrupted()
                if config.max_steps is not None and state.step >= config.max_steps:
                    state.stop(f"max_steps {config.max_steps} reached")
                    break
            else:
                if self.batch < total:  # storage kept the loop waiting until somebody asked it to stop
                    alone = self.together.world == 1  # else the others wait elsewhere, and cannot save
                    self._interrupted(between_steps=alone and self.batch % accumulate == 0)

    def _forward(
        self, rows: dict[str, Tensor], position: float, everywhere: int
    ) -> tuple[Sequence[Tensor], Tensor, Any]:
        generator = None
        if self.parts.pipeline.augmentations:
            key = [self.seed, self.state.epoch, self.batch, self.fabric.global_rank, 0xA06]
            generator = self.generator.manual_seed(
                int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
            )
        with torch.no_grad():
            batch = self.parts.pipeline(rows, generator, checked=True)
            if self.channels_last:
                batch = {n: _channels_last(t) for n, t in batch.items()}
        weights = {n: weight(position) for n, weight in self.parts.weights.items()}
        world = self.together.world
        crowd = Crowd(everywhere, world) if world > 1 else None
        losses, values, outputs = self.passes.forward(batch, weights, position / self.max_epochs, crowd)
        return losses, values, (batch, outputs)

    def _backward(self, losses: Sequence[Tensor]) -> None:
        if not self.apart:
            self.passes.backward(losses[0])
            return
        for loss, group in zip(losses, self.groups, strict=True):
            self.passes.backward(loss, parameters=group.parameters, again=group is not self.groups[-1])

    def _optimizer_step(self) -> None:
        if self.apart and self.state.step == 0:
            refuse_unreached(self.groups, self.recipe)
        for optimizer in self.optimizers:
            if self.config.gradient_clip_val is not None:
                # Under fp16 an overflow is the scaler's to skip, not an error of clipping.
                self.fabric.clip_gradients(
                    self.step, optimizer, max_norm=self.config.gradient_clip_val, error_if_nonfinite=False
                )
        step_all(self.optimizers, getattr(self.fabric.strategy.precision, "scaler", None))
        for group in self.groups:
            group.clear_gradients()
            group.step_scheduler("step", {})
        self.state.step += 1

    def _after_step(self, rows: dict[str, Tensor], tensors: Any, task: Task, window: int) -> None:
        state, config = self.state, self.config
        if state.step % self.read_every == 0:
            self.meter.read()
        task.advance(window)
        self.callbacks("on_step_end", state)
        logs = state.step % config.log_every_n_steps == 0
        due = [t for t in self.train_metrics if state.step % (t.every or 1) == 0]
        values: dict[str, float] = {}
        if due:
            with torch.no_grad():
                update(due, self.parts.tensors(*tensors), self.parts.context(self.model, state.epoch / self.max_epochs))
            values |= {f"step/{n}": v for n, v in compute(due).items()}
        if logs:
            recent = self.meter.recent()
            values |= {f"step/{n}": v for n, v in recent.items()} | self._rates()
            task.advance(0, loss=recent["loss"])
        if values:
            self.record.scalars(values, state)
        every = config.checkpoint.every_n_steps
        if every and state.step % every == 0:
            self._save()

    def _end_epoch(self) -> None:
        state = self.state
        means = self.meter.means()
        state.epoch += 1
        self.batch = 0
        state.metrics = {"epoch": float(state.epoch), "step": float(state.step)} | self._rates()
        state.metrics |= {f"train/{n}": v for n, v in means.items()}
        self.meter = Meter(self.meter.names, self.together)
        last = state.epoch == self.max_epochs or state.stop_reason is not None
        if self.parts.sources.val is not None and (state.epoch % self.config.val_every_n_epochs == 0 or last):
            state.metrics |= self._validate()
            self.callbacks("on_validation_end", state)
        for group in self.groups:
            group.step_scheduler("epoch", state.metrics)
        state.history.append(dict(state.metrics))
        self.callbacks("on_epoch_end", state)
        self._stop_together()
        self._save([LAST, *self.keeper.names], now=False)
        for name in self.keeper.outdone:
            self.saver.drop(name)

    def _validate(self) -> dict[str, float]:
        assert self.parts.sources.val is not None
        weights = {n: weight(self.state.epoch) for n, weight in self.parts.weights.items()}
        return validate(
            self.passes,
            self.model,
            self.parts,
            self.parts.sources.val,
            self.fabric,
            self.together,
            weights=weights,
            progress=self.state.epoch / self.max_epochs,
            reporter=self.reporter,
            limit=self.limits.val_batches,
        )

    # ---------------------------------------------------------------- around the loop

    def _callbacks(self, loggers: list[Logger]) -> Dispatch:
        config, directions = self.config, self.parts.directions
        kept = config.checkpoint
        way = directions[kept.monitor] or "min"
        self.keeper = Keeper(kept.monitor, way, kept.every_n_epochs, kept.save_top_k)
        # Where parameters are shared out, all processes have to compute what the first one draws.
        self.record = Record(
            loggers if self.first else [],
            self.parts.figures if self.first or self.passes.sharded else [],
            lambda term: collect(term, self.parts, self.model, self.fabric),
            draws=self.first,
        )
        callbacks: dict[str, Callback] = {
            **self.parts.callbacks,
            "core.keeper": self.keeper,
            "core.record": self.record,
        }
        stopping = config.early_stopping
        if stopping is not None:
            way = directions[stopping.monitor] or "min"
            callbacks["core.stopping"] = EarlyStopping(stopping.monitor, way, stopping.patience, stopping.min_delta)
        return Dispatch(callbacks)

    def _start_loggers(self) -> None:
        if self.first:
            for logger in self.loggers:
                logger.start(self.recipe.document(), self._columns(), self.state.step)

    def _columns(self) -> list[str]:
        """The names of all scalars that this run will log."""
        steps = [f"step/{n}" for n in self.meter.names]
        for term in self.train_metrics:
            steps += [f"step/{n}" for n in metric_names(term.name, term.component)]
        scored = [n for n in self.parts.directions if n.startswith("train/") or self.parts.sources.val is not None]
        return [*self._rates(), *scored, *steps]

    def _rates(self) -> dict[str, float]:
        if len(self.groups) == 1:
            return {"lr": self.groups[0].lr}
        return {f"lr/{g.name}": g.lr for g in self.groups}

    def _stop_together(self) -> None:
        """Ends on every process as soon as one of them wants to."""
        reason = self.together.first(self.state.stop_reason)
        if reason is not None:
            self.state.stop(reason)

    def _interrupted(self, between_steps: bool = True) -> None:
        """Saves and stops; within the batches of one step the checkpoint of an earlier one stands."""
        if between_steps:
            self._save()
        raise Interrupted(f"interrupted in epoch {self.state.epoch + 1} at step {self.state.step}")

    # ---------------------------------------------------------------- checkpoints

    def _save(self, names: Sequence[str] = (LAST,), *, now: bool = True) -> None:
        """Saves a checkpoint; only called where an optimizer step has just ended. Where it need not be ``now``, it may
        wait for those of the next epochs."""
        if self.together.world == 1:
            self.saver.put(self._checkpoint, names, now=now)
            return
        contents = self._checkpoint()  # every process has a part of it
        if self.first:
            self.saver.put(lambda: contents, names, now=now)
        self.fabric.barrier()

    def _checkpoint(self) -> dict[str, Any]:
        weights = checkpoint.flat_weights(self.model, self.parts.pipeline)
        return {**self.stamp, "weights": weights, "training": self._training()}

    def _training(self) -> dict[str, Any]:
        state = self.state
        return {
            "epoch": state.epoch,
            "batch": self.batch,
            "step": state.step,
            "stop_reason": state.stop_reason,
            "history": state.history,
            "meter": self.meter.state_dict(),
            "optimizers": [whole(g.optimizer.state_dict()) for g in self.groups],
            "schedulers": [g.scheduler.state_dict() if g.scheduler is not None else {} for g in self.groups],
            "precision": dict(self.fabric.strategy.precision.state_dict()),
            "callbacks": self.callbacks.state_dict(),
            "random": self.together.each(checkpoint.random_state()),
            "batches": self.feed.shape,
        }

    def _seed(self, step: int = 0) -> None:
        """Random numbers of each process's own; those of the first go on from the making of the model."""
        if self.together.rank > 0 or step > 0:
            key = [self.seed, step, self.together.rank, 0x5EED]
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))

    def _restore(self, contents: Mapping[str, Any]) -> None:
        training, state = contents["training"], self.state
        refuse_other_batches(training["batches"], self.feed.shape, self.together.world)
        state.epoch, state.step, self.batch = training["epoch"], training["step"], training["batch"]
        state.history = [dict(h) for h in training["history"]]
        state.metrics = dict(state.history[-1]) if state.history else {}
        if state.epoch < self.max_epochs and training["stop_reason"] is not None:
            state.stop_reason = training["stop_reason"]
        self.meter.load_state_dict(training["meter"])
        for group, optimizer, scheduler in zip(
            self.groups, training["optimizers"], training["schedulers"], strict=True
        ):
            group.load_optimizer(optimizer)
            if group.scheduler is not None:
                group.scheduler.load_state_dict(scheduler)
        self.fabric.strategy.precision.load_state_dict(training["precision"])
        self.callbacks.load_state_dict(training["callbacks"])
        random = training["random"]
        if len(random) == self.together.world:
            checkpoint.set_random_state(random[self.together.rank])
        else:
            self._seed(state.step)


def _channels_last(t: Tensor) -> Tensor:
    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t
