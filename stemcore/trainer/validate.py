"""Losses and metrics over a data source, without training on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lightning_fabric import Fabric

from stemcore.assemble import Parts
from stemcore.assemble.monitors import logged
from stemcore.assemble.parts import Term
from stemcore.assemble.wiring import Tensors
from stemcore.component.evaluation import evaluation as evaluation
from stemcore.data.source import Source
from stemcore.data.tensors import Batch
from stemcore.errors import UserError
from stemcore.progress import Reporter
from stemcore.trainer.feed import loader_of
from stemcore.trainer.interrupt import heeding
from stemcore.trainer.meters import Meter
from stemcore.trainer.setup import Setup
from stemcore.trainer.together import Together


def heeded_batches(parts: Parts, source: Source, fabric: Fabric) -> Iterator[Batch]:
    """The batches of a source in storage order, on the device; this process's share of them, up to the next SIGINT or
    SIGTERM.

    Raises:
        KeyboardInterrupt: after either.
    """
    size = parts.recipe.data.evaluation_batch_size
    return heeding(lambda stop: loader_of(parts, fabric, stop).ordered(source, size))


def validate(
    setup: Setup, epoch: int, reporter: Reporter, stop: Callable[[], bool] = lambda: False
) -> dict[str, float] | None:
    """``val/loss``, every term, and every metric over the validation data, by their logged names, at the end of epoch
    number ``epoch``, counted from 1; nothing where there are no such data. ``None`` as soon as ``stop`` says so."""
    parts, passes, limit, source = setup.parts, setup.passes, setup.limits.val_batches, setup.parts.sources.val
    if source is None:
        return {}
    weights = {n: weight(epoch) for n, weight in parts.weights.items()}
    progress = epoch / setup.max_epochs
    names = setup.new_meter().names
    meter = Meter(names)
    metrics = list(parts.metrics)
    for term in metrics:
        term.component.to(setup.fabric.device).reset()
    context = parts.context(setup.model, progress)
    total = len(source) if limit is None else min(len(source), limit * parts.recipe.data.evaluation_batch_size)
    with setup.averaged(), evaluation(passes.wrapped, parts.recipe.seed), reporter.task("validating", total) as task:
        for stored, counts in _in_step(setup, source, stop):
            if stop():
                return None
            batch = parts.pipeline(stored)
            _, values, outputs = passes.evaluate(batch, weights, progress)
            if not counts:
                continue
            items = len(stored["index"])
            meter.add(values, items)
            update(metrics, parts.tensors(batch, outputs), context)
            task.advance(items)
        if stop():  # storage kept waiting, and the batches ended early
            return None
        scores = {f"val/{n}": v for n, v in _reduced(meter, setup.together).items()}
        for name, value in compute(metrics).items():
            scores[logged("val", name, names)] = value
    return scores


def _in_step(setup: Setup, source: Source, stop: Callable[[], bool]) -> Iterator[tuple[Batch, bool]]:
    """This process's batches, each with whether it counts. Where parameters are shared out, every process goes through
    as many as the first does: one with fewer goes through some that do not count."""
    parts, fabric, limit = setup.parts, setup.fabric, setup.limits.val_batches
    done, size = 0, parts.recipe.data.evaluation_batch_size
    loader = loader_of(parts, fabric, stop)
    for stored in loader.ordered(source, size, limit):
        yield stored, True
        done += 1
    if not setup.passes.sharded or not len(source):
        return
    whole = -(-len(source) // size)
    most = -(-whole // fabric.world_size)
    most = most if limit is None else min(most, limit)
    if done < most:
        for stored in replace(loader, rank=0, world=1).ordered(source, size, most - done):
            yield stored, False


def update(metrics: list[Term], tensors: Tensors, context: Mapping[str, Any]) -> None:
    """Hands a batch to every metric.

    Raises:
        UserError: of a metric that refuses it, with the name of the metric.
    """
    for term in metrics:
        arguments = term.wires.arguments(tensors, context)
        try:
            term.component.update(**arguments)
        except UserError as error:
            place = f"metrics.{term.name}"
            raise UserError(*(p if p.where else replace(p, where=place) for p in error.problems)) from error


def compute(metrics: list[Term]) -> dict[str, float]:
    """What every metric reports, by its name in the recipe; metrics are reset."""
    scores = {}
    for term in metrics:
        result = term.component.compute()
        for key, value in (result if isinstance(result, dict) else {"": result}).items():
            scores[f"{term.name}_{key}" if key else term.name] = float(value)
        term.component.reset()
    return scores


def _reduced(meter: Meter, together: Together) -> dict[str, float]:
    meter.read()
    *meter.sums, count = together.sum([*meter.sums, meter.count])
    meter.count = int(count)
    return meter.means()
