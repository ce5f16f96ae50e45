"""Losses and metrics over a data source, without training on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lightning_fabric import Fabric

from stemcore.assemble import Parts
from stemcore.assemble.monitors import logged
from stemcore.assemble.parts import Term
from stemcore.assemble.wiring import Tensors
from stemcore.component.evaluation import evaluation as evaluation
from stemcore.component.model import Model
from stemcore.data.source import Source
from stemcore.data.tensors import Batch
from stemcore.errors import UserError
from stemcore.progress import Reporter
from stemcore.trainer.feed import loader_of
from stemcore.trainer.interrupt import heeding
from stemcore.trainer.meters import Meter
from stemcore.trainer.passes import Passes
from stemcore.trainer.together import Together


def stored_batches(parts: Parts, source: Source, fabric: Fabric, limit: int | None = None) -> Iterator[Batch]:
    """The batches of a source in storage order, on the device; this process's share of them."""
    return loader_of(parts, fabric).ordered(source, parts.recipe.data.evaluation_batch_size, limit)


def heeded_batches(parts: Parts, source: Source, fabric: Fabric) -> Iterator[Batch]:
    """:func:`stored_batches`, up to the next SIGINT or SIGTERM.

    Raises:
        KeyboardInterrupt: after either.
    """
    size = parts.recipe.data.evaluation_batch_size
    return heeding(lambda stop: loader_of(parts, fabric, stop).ordered(source, size))


def validate(
    passes: Passes,
    model: Model,
    parts: Parts,
    source: Source,
    fabric: Fabric,
    together: Together,
    *,
    weights: Mapping[str, float],
    progress: float,
    reporter: Reporter,
    limit: int | None = None,
) -> dict[str, float]:
    """``val/loss``, every term, and every metric over a source, by their logged names."""
    names = ["loss", *(t.name for t in parts.losses)]
    meter = Meter(names)
    metrics = list(parts.metrics)
    for term in metrics:
        term.component.to(fabric.device).reset()
    context = parts.context(model, progress)
    total = len(source) if limit is None else min(len(source), limit * parts.recipe.data.evaluation_batch_size)
    with evaluation(passes.wrapped, parts.recipe.seed), reporter.task("validating", total) as task:
        for stored, counts in _in_step(parts, source, fabric, limit, passes.sharded):
            batch = parts.pipeline(stored)
            _, values, outputs = passes.evaluate(batch, weights, progress)
            if not counts:
                continue
            items = len(stored["index"])
            meter.add(values, items)
            update(metrics, parts.tensors(batch, outputs), context)
            task.advance(items)
        scores = {f"val/{n}": v for n, v in _reduced(meter, together).items()}
        for name, value in compute(metrics).items():
            scores[logged("val", name, names)] = value
    return scores


def _in_step(
    parts: Parts, source: Source, fabric: Fabric, limit: int | None, sharded: bool
) -> Iterator[tuple[Batch, bool]]:
    """This process's batches, each with whether it counts. Where parameters are shared out, every process goes through
    as many as the first does: one with fewer goes through some that do not count."""
    done = 0
    for stored in stored_batches(parts, source, fabric, limit):
        yield stored, True
        done += 1
    if not sharded or not len(source):
        return
    size = parts.recipe.data.evaluation_batch_size
    whole = -(-len(source) // size)
    most = -(-whole // fabric.world_size)
    most = most if limit is None else min(most, limit)
    if done < most:
        alone = replace(loader_of(parts, fabric), rank=0, world=1)
        for stored in alone.ordered(source, size, most - done):
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
