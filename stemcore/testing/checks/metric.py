"""What a metric promises of how its scores add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy

import numpy as np

from stemcore.testing.checks import metric_data  # noqa: F401  promises of their own
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_metric import MetricTrial, scores_of, seeded, shown

DIRECTIONS = ("min", "max", None)


@promise("metric")
def check_reports(subject: Subject) -> None:
    """``reports`` names exactly the numbers that ``compute`` returns, before there is any data, each with ``min``,
    ``max`` or ``None``: tables get their columns from it, and early stopping its direction."""
    trial = MetricTrial(subject)
    before = trial.fresh().reports()
    ensure(isinstance(before, Mapping), f"reports returned {type(before).__name__}, not a mapping")
    for name, direction in before.items():
        ensure(isinstance(name, str), f"it reports {name!r}, which is not a name")
        ensure(direction in DIRECTIONS, f"the better direction{shown(name, ' of')} is {direction!r}")
    seen = set(trial.scores())
    ensure(set(before) == seen, f"it reports {sorted(before)}, but computes {sorted(seen)}")
    metric = trial.fresh()
    with seeded():
        trial.update(metric, {})
    ensure(dict(metric.reports()) == dict(before), f"it reports {before} before an update, {metric.reports()} after it")


@promise("metric")
def check_finite(subject: Subject) -> None:
    """Scores of ordinary items are finite numbers: one that never is says nothing."""
    for name, value in MetricTrial(subject).scores().items():
        ensure(math.isfinite(value), f"the score{shown(name)} is {value}")


@promise("metric")
def check_reference(subject: Subject) -> None:
    """Its scores are those of the independent float64 computation that its example gives: a formula is right when two
    people who wrote it down agree."""
    trial = MetricTrial(subject)
    if trial.example.reference is None:
        raise NotApplicable("its example gives no reference")
    arrays = {name: value.numpy() for name, value in trial.tensors.items()}
    arrays = {name: a.astype(np.float64) if name in trial.floating else a for name, a in arrays.items()}
    expected = trial.example.reference(**arrays)
    expected = expected if isinstance(expected, Mapping) else {"": expected}
    trial.ensure_same(trial.scores(), {n: float(v) for n, v in expected.items()}, "its score")


@promise("metric")
def check_parts_equal_whole(subject: Subject) -> None:
    """Batches of any size, in any order, give the score of all items at once: batch sizes are chosen for speed. A mean
    of batch means is not the mean."""
    trial = MetricTrial(subject)
    whole, n = trial.scores(), trial.items
    cuts = {
        "in batches of one": [[i] for i in range(n)],
        "in batches of one and the rest": [[0], [*range(1, n)]],
        "in batches of the rest and one": [[*range(n - 1)], [n - 1]],
    }
    if not trial.draws:  # Random numbers would come to other items.
        cuts["in two batches, the later one first"] = [[*range(n // 3, n)], [*range(n // 3)]]
    for name, batches in cuts.items():
        parts = [trial.part(*items) for items in batches if items]
        trial.ensure_same(trial.scores(*parts), whole, f"the score of its {n} items {name}")


@promise("metric")
def check_several_processes(subject: Subject) -> None:
    """Several processes that each take in some of the batches compute the score of all of them: every state goes
    through ``add_state``, with the reduction that adds it up."""
    trial = MetricTrial(subject)
    whole, n = trial.scores(), trial.items
    third = max(1, n // 3)
    first, rest = trial.part(*range(third)), trial.part(*range(third, n))
    trial.ensure_same(trial.together([first], [rest]), whole, f"the score of {third} and {n - third} items together")
    single = [trial.part(i) for i in range(n)]
    seen = trial.together(single[: n - 2], single[n - 2 : n - 1], single[n - 1 :])
    trial.ensure_same(seen, whole, f"the score of {n - 2} batches, one and one together")


@promise("metric")
def check_idle_process(subject: Subject) -> None:
    """A process without any batch changes nothing: the last batches of a small data set do not reach every one. (For an
    empty list, torchmetrics sends a flat one of float32: lists of anything else cannot be gathered then.)"""
    trial = MetricTrial(subject)
    whole = trial.scores()
    trial.ensure_same(trial.together([{}], []), whole, "where the second of two processes has seen nothing, the score")
    trial.ensure_same(trial.together([], [{}]), whole, "where the first of two processes has seen nothing, the score")


@promise("metric")
def check_reset(subject: Subject) -> None:
    """After ``reset`` it is as new: every epoch is scored by the same object."""
    trial = MetricTrial(subject)
    n = trial.items
    second = trial.part(*range(n // 2, n))
    metric = trial.fresh()
    with seeded():
        trial.update(metric, trial.part(*range(n // 2)))
        scores_of(metric)
    metric.reset()
    with seeded():
        trial.update(metric, second)
        trial.ensure_same(scores_of(metric), trial.scores(second), "after a reset the score")


@promise("metric")
def check_compute_changes_nothing(subject: Subject) -> None:
    """Computing a score between two batches does not change the next one: it is also computed while training."""
    trial = MetricTrial(subject)
    n = trial.items
    parts = [trial.part(*range(n // 2)), trial.part(*range(n // 2, n))]
    metric = trial.fresh()
    with seeded():
        for part in parts:
            trial.update(metric, part)
            seen = scores_of(metric)
    trial.ensure_same(seen, trial.scores(*parts), "computed once more in between, the score")


@promise("metric")
def check_copies_are_independent(subject: Subject) -> None:
    """A deep copy counts for itself: models and baselines are compared by copies of one metric."""
    trial = MetricTrial(subject)
    n = trial.items
    halves = trial.part(*range(n // 2)), trial.part(*range(n // 2, n))
    metric = trial.fresh()
    try:
        copy = deepcopy(metric)
    except Exception as error:
        raise Broken(f"it cannot be copied: {error}") from error
    for one, half in zip((metric, copy), halves, strict=True):
        with seeded():
            trial.update(one, half)
    trial.ensure_same(scores_of(metric), trial.scores(halves[0]), "after its copy took in other items the score")
