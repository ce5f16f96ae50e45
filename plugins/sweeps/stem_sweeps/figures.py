"""The figures of a sweep."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from stem_sweeps.plan import Plan

ORANGE, BLUE, GREY = "#D55E00", "#0072B2", "#999999"
FEWEST = 4
"""Trials without which importances say nothing."""


def history(plan: Plan) -> Drawing:
    """The value of every trial, and the best until then."""
    trials = [t for t in plan.study.finished() if t.value is not None]
    drawing = Drawing(figsize=(6.5, 4.0), dpi=110, layout="constrained")
    axes = drawing.subplots()
    for state, colour, label in (
        (TrialState.PRUNED, GREY, "pruned"),
        (TrialState.COMPLETE, BLUE, "trained to the end"),
    ):
        these = [t for t in trials if t.state == state]
        if these:
            axes.plot([t.number for t in these], [t.value for t in these], "o", color=colour, markersize=5, label=label)
    full = [t for t in trials if t.state == TrialState.COMPLETE]
    best = np.minimum if plan.direction == "min" else np.maximum
    axes.step(
        [t.number for t in full], best.accumulate([float(t.value or 0) for t in full]), where="post", color=ORANGE
    )
    axes.set_xlabel("trial")
    axes.set_ylabel(plan.monitor)
    axes.set_title(f"best {plan.monitor} so far", fontsize=11)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return drawing


def importance(plan: Plan) -> Drawing | None:
    """How much of the variance of the values each key explains (fANOVA; Hutter, Hoos, Leyton-Brown 2014); ``None``
    where too few trials ended, or all with the same value."""
    shares = importances(plan)
    if not shares:
        return None
    names = list(shares)[::-1]
    drawing = Drawing(figsize=(6.5, 1.2 + 0.4 * len(names)), dpi=110, layout="constrained")
    axes = drawing.subplots()
    bars = axes.barh(names, [shares[name] for name in names], color=BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(f"share of the variance of {plan.monitor}")
    return drawing


def importances(plan: Plan) -> dict[str, float]:
    """The shares by key, the largest first; empty where they cannot be told."""
    values = [t.value for t in plan.study.finished() if t.state == TrialState.COMPLETE]
    if len(values) < FEWEST or len(set(values)) < 2:
        return {}
    return get_param_importances(plan.study.optuna, evaluator=FanovaImportanceEvaluator(seed=plan.study.seed))
