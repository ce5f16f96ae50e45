"""A recipe's components, built and wired; every problem found at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stemcore.assemble.backend import choose_backend
from stemcore.assemble.inner import verify_inner
from stemcore.assemble.monitors import check_monitors
from stemcore.assemble.parts import Parts, collecting
from stemcore.assemble.sources import Sources, open_sources, placed
from stemcore.assemble.terms import build_terms
from stemcore.assemble.trial import try_on_meta
from stemcore.assemble.wiring import Supply, supply, wire
from stemcore.component.fields import DataSpec
from stemcore.component.model import Model
from stemcore.component.sampler import Sampler
from stemcore.data.chain import MODEL, Chain
from stemcore.data.intake import Intake
from stemcore.data.pipeline import Pipeline
from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins.discovery import cause_of
from stemcore.recipe import Component, Recipe


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
    unfit = verify_inner(recipe)
    problems += unfit.values()
    if not any(place.startswith("data.") for place in unfit):  # else a data set would say so again
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
    build_terms(parts, problems)
    _model_wires(parts, problems)
    if not applied:
        problems += check_monitors(recipe, parts.directions)
        problems += _sizes(recipe, sources)
        parts.sampler = _sampler(recipe, sources, problems)
    if problems:
        raise UserError(*problems)
    parts.pipeline.wanted = {
        w.name
        for t in [*parts.losses, *parts.metrics, *parts.figures]
        for w in t.wires
        if w.space and w.source in supplied.fields
    }
    try_on_meta(parts)
    return parts


def assemble_alone(recipe: Recipe, fields: DataSpec) -> tuple[Model, Pipeline]:
    """The model of a recipe and its transforms, with nothing of what trains or judges it; initial weights.

    Args:
        recipe: of a run.
        fields: those of its data, as stored.

    Raises:
        UserError: with every problem found.
    """
    problems: list[Problem] = []
    intake = Intake(fields, recipe.data.invalid)
    pipeline = Pipeline(intake, _chains(recipe, intake, problems))
    if problems:
        raise UserError(*problems)
    model: Model = _named(recipe.model)(pipeline.spec)
    return model, pipeline


def _pipeline(recipe: Recipe, sources: Sources, problems: list[Problem]) -> Pipeline:
    intake = Intake(sources.spec, recipe.data.invalid)
    chains = _chains(recipe, intake, problems)
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


def _chains(recipe: Recipe, intake: Intake, problems: list[Problem]) -> dict[str, Chain]:
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
    return chains


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
        space=MODEL,
        where=model.where,
        who=f"model '{model.type}'",
        allowed=(),
    )
    problems += found


def _sampler(recipe: Recipe, sources: Sources, problems: list[Problem]) -> Sampler | None:
    component = recipe.data.sampler
    if component is None:
        return None
    with collecting(problems, component.where):
        sampler: Sampler = component.build()
        known = sources.spec
        problems += [
            Problem(
                f"the data have no field '{name}', which the sampler goes by", component.where, close_match(name, known)
            )
            for name in sampler.fields
            if name not in known
        ]
        return sampler
    return None


def _sizes(recipe: Recipe, sources: Sources) -> list[Problem]:
    if recipe.data.batch_size <= len(sources.train) or not recipe.data.drop_last:
        return []
    message = (
        f"a batch of {recipe.data.batch_size} is larger than the training split of {len(sources.train)} items, "
        "and data.drop_last leaves out shorter ones"
    )
    return [
        Problem(message, recipe.where(("data", "batch_size")), f"set data.batch_size to at most {len(sources.train)}")
    ]
