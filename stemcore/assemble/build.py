"""A recipe's components, built and wired; every problem found at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from stemcore.assemble.backend import choose_backend
from stemcore.assemble.monitors import check_monitors, directions
from stemcore.assemble.sources import Sources, open_sources, placed
from stemcore.assemble.wiring import Supply, Tensors, Wires, supply, wire
from stemcore.component.backend import Backend
from stemcore.component.callback import Callback
from stemcore.component.fields import DataSpec
from stemcore.component.figure import Figure
from stemcore.component.loss import Loss
from stemcore.component.metric import Direction, Metric
from stemcore.component.model import Model
from stemcore.data.chain import PHYSICAL, Chain, Values
from stemcore.data.intake import Intake
from stemcore.data.pipeline import Pipeline
from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins.discovery import cause_of
from stemcore.recipe import Component, Recipe

MODEL_SPACE, SAMPLE_ITEMS = "model", 2


@dataclass
class Term:
    """A loss, metric or figure with its wires and, for metrics and figures, how often it is wanted."""

    name: str
    component: Any
    wires: Wires
    every: int | None = None


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

    def build_model(self) -> Model:
        """The model with its initial weights, which depend on the seed alone."""
        torch.manual_seed(self.recipe.seed)
        model: Model = self.recipe.model.build(self.spec)
        return model

    def tensors(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Tensors:
        """Batch and outputs, in any space."""
        return Tensors(batch, outputs, self.supply.chains)

    def context(self, model: Model, progress: float = 0.0) -> dict[str, Any]:
        """What components may name besides tensors."""
        chain = self.pipeline.chain("input")
        values = Values(chain) if chain is not None else None
        return {"model": model, "transforms": values, "progress": progress, "spec": self.spec}


def assemble(recipe: Recipe, sources: Sources | None = None) -> Parts:
    """Opens the data, builds every component and checks that they fit together.

    The model is run once on meta tensors, so that every name and shape is checked before anything is read.

    Args:
        recipe: what is wanted.
        sources: data to use in place of the recipe's, for a run that is applied to them.

    Raises:
        UserError: with every problem found.
    """
    problems: list[Problem] = []
    backend = None
    applied = sources is not None
    with collecting(problems):
        backend = choose_backend(recipe)
    with collecting(problems):
        sources = sources or open_sources(recipe)
    if problems or backend is None or sources is None:
        raise UserError(*problems)
    pipeline = _pipeline(recipe, sources, problems)
    if problems:
        raise UserError(*problems)
    spec = pipeline.spec
    skeleton = _skeleton(recipe, spec)
    chains: dict[str, Chain] = dict(pipeline.chains.items())  # type: ignore[arg-type]
    supplied = supply(spec, skeleton.provides(), chains)
    parts = Parts(recipe, sources, pipeline, spec, skeleton, backend, supplied)
    _terms(parts, problems)
    _model_wires(parts, problems)
    if not applied:
        problems += check_monitors(recipe, parts.directions)
        problems += _sizes(recipe, sources)
    if problems:
        raise UserError(*problems)
    parts.pipeline.wanted = {
        w.name
        for t in [*parts.losses, *parts.metrics, *parts.figures]
        for w in t.wires
        if w.space and w.source in supplied.fields
    }
    _try_on_meta(parts)
    return parts


@contextmanager
def collecting(problems: list[Problem], where: str = "") -> Iterator[None]:
    """Turns a UserError raised inside into entries of ``problems``."""
    try:
        yield
    except UserError as error:
        problems += [placed(p, where) for p in error.problems]


def _pipeline(recipe: Recipe, sources: Sources, problems: list[Problem]) -> Pipeline:
    intake = Intake(sources.spec, recipe.data.invalid)
    # A field without transforms has spaces, too: they are all the same.
    chains = {name: Chain(spec) for name, spec in intake.spec.items() if spec.like is None and spec.shape}
    for name, components in recipe.data.transforms.items():
        if name not in intake.spec:
            where = recipe.where(("data", "transforms", name))
            problems.append(
                Problem(f"the data have no field '{name}' to transform", where, close_match(name, intake.spec))
            )
            continue
        with collecting(problems):
            chains[name] = Chain(intake.spec[name], [(c.entry.name, _named(c)) for c in components])
    augmentations = []
    for component in recipe.data.augment:
        with collecting(problems, component.where):
            augmentation = component.build(intake.spec)
            unknown = [f for f in augmentation.fields if f not in intake.spec and f != "target"]
            problems += [
                Problem(f"the data have no field '{f}' to augment", component.where, close_match(f, intake.spec))
                for f in unknown
            ]
            augmentations.append(augmentation)
    return Pipeline(intake, chains, augmentations)


def _named(component: Component) -> Callable[[Any], Any]:
    def make(spec: Any) -> Any:
        try:
            return component.build(spec)
        except UserError as error:
            raise UserError(*(placed(p, component.where) for p in error.problems)) from error

    return make


def _skeleton(recipe: Recipe, spec: DataSpec) -> Model:
    """The model on the meta device: shapes, no memory."""
    try:
        with torch.device("meta"):
            model: Model = recipe.model.build(spec)
    except UserError as error:
        raise UserError(*(placed(p, recipe.model.where) for p in error.problems)) from error
    except Exception as error:
        shapes = ", ".join(f"{n} {f.shape}" for n, f in spec.items())
        problem = Problem(
            f"model '{recipe.model.type}' cannot be built for {shapes}: {cause_of(error)}", recipe.model.where
        )
        raise UserError(problem) from error
    return model


def _terms(parts: Parts, problems: list[Problem]) -> None:
    recipe = parts.recipe
    total_epochs = recipe.trainer.max_epochs
    for name, term in recipe.losses.items():
        weight = term.weight
        if isinstance(weight, Component):
            with collecting(problems, weight.where):
                parts.weights[name] = weight.build(total_epochs).weight
        elif weight == 0:
            continue
        else:
            parts.weights[name] = _constant(float(weight))
        with collecting(problems, term.component.where):
            loss: Loss = term.component.build()
            parts.losses.append(_wired(parts, name, "loss", loss, loss.forward, term, MODEL_SPACE, problems))
    for name, metric_term in recipe.metrics.items():
        with collecting(problems, metric_term.component.where):
            metric: Metric = metric_term.component.build()
            wired = _wired(parts, name, "metric", metric, metric.update, metric_term, PHYSICAL, problems)
            wired.every = metric_term.every_n_steps
            parts.metrics.append(wired)
    for name, figure_term in recipe.figures.items():
        with collecting(problems, figure_term.component.where):
            figure: Figure = figure_term.component.build()
            wired = _wired(parts, name, "figure", figure, figure.draw, figure_term, PHYSICAL, problems)  # type: ignore[attr-defined]
            wired.every = figure_term.every_n_epochs
            parts.figures.append(wired)
    for name, component in recipe.callbacks.items():
        with collecting(problems, component.where):
            parts.callbacks[name] = component.build()
            problems += _misnamed(parts.callbacks[name], name, component.where)
    parts.directions = directions(
        [t.name for t in parts.losses],
        {t.name: t.component for t in parts.metrics},
        [t.name for t in parts.metrics if t.every],
    )


def _wired(
    parts: Parts,
    name: str,
    kind: str,
    component: Any,
    call: Callable[..., Any],
    term: Any,
    space: str,
    problems: list[Problem],
) -> Term:
    wires, found = wire(
        call,
        parts.supply,
        own=component.inputs,
        renamed=term.inputs,
        space=space,
        where=term.component.where,
        who=f"{kind} '{name}'",
    )
    problems += found
    return Term(name, component, wires)


def _constant(weight: float) -> Callable[[float], float]:
    return lambda epoch: weight


def _misnamed(callback: Callback, name: str, where: str) -> list[Problem]:
    known = {m for m in dir(Callback) if m.startswith("on_")}
    wrong = [m for m in dir(callback) if m.startswith("on_") and m not in known]
    return [
        Problem(f"callback '{name}' has a method '{m}', which nobody calls", where, close_match(m, known))
        for m in wrong
    ]


def _model_wires(parts: Parts, problems: list[Problem]) -> None:
    model = parts.recipe.model
    # The model sees fields of the batch only: what it gives itself cannot be among what it takes.
    fields_only = Supply(parts.supply.fields, {}, {})
    call = parts.skeleton.forward
    parts.model_wires, found = wire(
        call,
        fields_only,
        own={},
        renamed={},
        space=MODEL_SPACE,
        where=model.where,
        who=f"model '{model.type}'",
        allowed=(),
    )
    problems += found


def _sizes(recipe: Recipe, sources: Sources) -> list[Problem]:
    if recipe.data.batch_size <= len(sources.train):
        return []
    message = f"a batch of {recipe.data.batch_size} is larger than the training split of {len(sources.train)} items"
    return [
        Problem(message, recipe.where(("data", "batch_size")), f"set data.batch_size to at most {len(sources.train)}")
    ]


def _try_on_meta(parts: Parts) -> None:
    """Runs the model, and the losses where they can be, on meta tensors."""
    recipe = parts.recipe
    name = f"model '{recipe.model.type}'"
    fields = {n: f for n, f in parts.supply.fields.items() if all(isinstance(s, int) for s in f.shape)}
    floating = {
        n: f.dtype if f.dtype == "bool" or f.name in ("label", "index") else "float32" for n, f in fields.items()
    }
    batch = {
        n: torch.empty((SAMPLE_ITEMS, *f.shape), device="meta", dtype=getattr(torch, floating[n]))  # type: ignore[arg-type]
        for n, f in fields.items()
    }
    given = {s: batch[s] for w in parts.model_wires if (s := w.source) in batch}
    try:
        outputs = parts.skeleton(**given)
    except Exception as error:
        shapes = ", ".join(f"{n} {tuple(t.shape)}" for n, t in given.items())
        raise UserError(Problem(f"{name} fails on {shapes}: {cause_of(error)}", recipe.model.where)) from error
    problems = []
    for output, spec in parts.skeleton.provides().items():
        if output not in outputs:
            message = f"{name} declares '{output}' but returns only {', '.join(outputs)}"
            problems.append(Problem(message, recipe.model.where))
            continue
        shape = tuple(outputs[output].shape[1:])
        if len(shape) != len(spec.shape) or any(
            w is not None and w != s for w, s in zip(spec.shape, shape, strict=True)
        ):
            message = f"{name} declares '{output}' of shape {spec.shape} but returns {shape}"
            problems.append(Problem(message, recipe.model.where))
    if not problems:
        problems = _losses_on_meta(parts, batch, outputs)
    if problems:
        raise UserError(*problems)


def _losses_on_meta(parts: Parts, batch: dict[str, Tensor], outputs: dict[str, Tensor]) -> list[Problem]:
    tensors = Tensors(batch, outputs, {})
    problems = []
    for term in parts.losses:
        # Spaces change values, not shapes, beyond the geometry that every space of a tensor has in common.
        flat = Wires(tuple(replace(w, space=None) for w in term.wires), term.wires.special)
        try:
            term.component(**flat.arguments(tensors, parts.context(parts.skeleton)))
        except Exception as error:
            # A loss that needs values cannot run on meta tensors: only a clash of shapes is news.
            if any(word in str(error) for word in ("size", "shape", "dimension")) and "meta" not in str(error).lower():
                shapes = ", ".join(f"{w.name} {tuple(tensors.get(w.source, None).shape)}" for w in flat)
                where = parts.recipe.losses[term.name].component.where
                problems.append(Problem(f"loss '{term.name}' does not take {shapes}: {cause_of(error)}", where))
    return problems
