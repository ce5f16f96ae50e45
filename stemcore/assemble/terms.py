"""Losses, metrics, figures and callbacks of a recipe, built and wired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemcore.assemble.monitors import directions
from stemcore.assemble.parts import Parts, Term, collecting
from stemcore.assemble.wiring import wire
from stemcore.component.callback import Callback
from stemcore.component.figure import Figure
from stemcore.component.loss import Loss
from stemcore.component.metric import Direction, Metric
from stemcore.data.chain import MODEL, PHYSICAL
from stemcore.errors import Problem, close_match
from stemcore.recipe import Component


def build_terms(parts: Parts, problems: list[Problem]) -> None:
    """Adds to ``parts`` whatever a recipe lists under losses, metrics, figures and callbacks; what is wrong goes to
    ``problems``."""
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
            wired = _wired(parts, name, "loss", loss, loss.forward, term, MODEL, problems)
            wired.gather = term.gather
            parts.losses.append(wired)
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
    for name, component in recipe.callbacks.items():
        if name in parts.callbacks:
            parts.directions |= _reported(parts, parts.callbacks[name], name, component.where, problems)


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


def _reported(parts: Parts, callback: Callback, name: str, where: str, problems: list[Problem]) -> dict[str, Direction]:
    reported = dict(callback.reports())
    problems += [
        Problem(f"callback '{name}' reports '{scalar}', which is there without it", where, "leave one of them out")
        for scalar in reported
        if scalar in parts.directions
    ]
    return reported


def _misnamed(callback: Callback, name: str, where: str) -> list[Problem]:
    known = {m for m in dir(Callback) if m.startswith("on_")}
    wrong = [m for m in dir(callback) if m.startswith("on_") and m not in known]
    return [
        Problem(f"callback '{name}' has a method '{m}', which nobody calls", where, close_match(m, known))
        for m in wrong
    ]
