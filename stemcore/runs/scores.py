"""Scores of a model beside those of simple predictions."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from lightning_fabric import Fabric

from stemcore.assemble import Parts
from stemcore.assemble.parts import Term
from stemcore.assemble.wiring import Tensors
from stemcore.component.model import Model
from stemcore.data.source import Source
from stemcore.errors import UserError
from stemcore.progress import Reporter
from stemcore.runs.baselines import TARGET, fit_baselines
from stemcore.trainer.step import single_precision
from stemcore.trainer.validate import compute, evaluation, heeded_batches, update

PREDICTION, HIDDEN = "prediction", "hidden"


def evaluate(
    parts: Parts, model: Model, fabric: Fabric, name: str, source: Source, reporter: Reporter
) -> dict[str, Any]:
    """Scores ``source`` with every metric of the recipe, for the model and for the baselines: on the same values where
    a model says what it was not shown, and then without PCA, which would see it.

    Raises:
        UserError: if the recipe has no metrics.
    """
    if not parts.metrics:
        raise UserError(
            "the recipe has no metrics to evaluate", where="metrics", hint="add some, such as metrics: {...}"
        )
    terms = {"model": _fresh(parts.metrics)}
    baselines = {}
    if _reconstructs(parts):
        parts.pipeline.wanted |= {TARGET}
        latent = parts.supply.outputs.get("latent")
        fair = latent is not None and len(latent.shape) == 1 and HIDDEN not in parts.supply.outputs
        components = latent.shape[0] if latent is not None and fair else None
        baselines = fit_baselines(parts, parts.sources.train, components, fabric.device)
        simple = [t for t in parts.metrics if _simple(t)]
        terms |= {baseline: _fresh(simple) for baseline in baselines}
    for term in (t for group in terms.values() for t in group):
        term.component.to(fabric.device)
    context = parts.context(model, 1.0)
    with evaluation(model, parts.recipe.seed), reporter.task("evaluating", len(source)) as task:
        for stored in heeded_batches(parts, source, fabric):
            batch = parts.pipeline(stored)
            with fabric.autocast():
                outputs = model(**parts.given(batch))
            update(terms["model"], parts.tensors(batch, single_precision(outputs)), context)
            for baseline, predict in baselines.items():
                shared = {n: t for n, t in outputs.items() if n == HIDDEN}
                predicted = {PREDICTION: predict(batch[TARGET]), **shared}
                update(terms[baseline], _physical(batch, predicted), context)
            task.advance(len(stored["index"]))
        scores = {predictor: compute(group) for predictor, group in terms.items()}
    return {"data": name, "items": len(source), "scores": scores}


def _fresh(terms: list[Term]) -> list[Term]:
    copies = [replace(t, component=deepcopy(t.component)) for t in terms]
    for term in copies:
        term.component.reset()
    return copies


def _reconstructs(parts: Parts) -> bool:
    prediction = parts.supply.outputs.get(PREDICTION)
    return prediction is not None and prediction.like == "input" and "input" in parts.spec


def _simple(term: Term) -> bool:
    """Whether a metric needs no more of the outputs than the prediction in physical units."""
    spaces = {w.source: w.space for w in term.wires}
    known = spaces.get(PREDICTION, "absent") in (None, "physical")
    return known and "model" not in term.wires.special


def _physical(batch: dict[str, Any], predicted: dict[str, Any]) -> Tensors:
    both = predicted | {f"{n}@physical": t for n, t in predicted.items()}
    return Tensors(batch, both, {})
