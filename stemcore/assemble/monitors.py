"""The names under which a run logs scalars, and which way each is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stemcore.component.metric import Direction, Metric
from stemcore.errors import Problem, close_match
from stemcore.recipe import Recipe

LOSS = "loss"


def metric_names(name: str, metric: Metric) -> dict[str, Direction]:
    """What a metric called ``name`` reports: its own name, and one with a suffix for each further number."""
    return {f"{name}_{key}" if key else name: way for key, way in metric.reports().items()}


def directions(losses: Iterable[str], metrics: Mapping[str, Metric], trained: Iterable[str]) -> dict[str, Direction]:
    """Every name that is logged, with its better direction.

    Args:
        losses: the loss terms.
        metrics: the metrics by name, computed at validation.
        trained: the names of those that are computed while training too.
    """
    terms = [LOSS, *losses]
    known: dict[str, Direction] = {f"{part}/{term}": "min" for part in ("train", "val") for term in terms}
    for name, metric in metrics.items():
        reported = metric_names(name, metric)
        # A loss and a metric may share a name (mse in the model's space, mse in counts): the metric's is then its own.
        known.update({logged("val", n, terms): way for n, way in reported.items()})
        if name in trained:
            known.update({logged("train", n, terms): way for n, way in reported.items()})
    return known


def logged(part: str, name: str, losses: Iterable[str]) -> str:
    """The name under which a metric is logged: ``val/psnr``, or ``val/metric_mse`` beside a loss term ``mse``."""
    return f"{part}/metric_{name}" if name in set(losses) else f"{part}/{name}"


def check_monitors(recipe: Recipe, known: Mapping[str, Direction]) -> list[Problem]:
    """What is wrong with the names that early stopping and checkpoints watch."""
    trainer = recipe.trainer
    watched = [(("trainer", "checkpoint", "monitor"), trainer.checkpoint.monitor)]
    if trainer.early_stopping is not None:
        watched.append((("trainer", "early_stopping", "monitor"), trainer.early_stopping.monitor))
    problems = []
    for place, name in watched:
        where = recipe.where(place) or ".".join(place)
        if name not in known:
            problems.append(Problem(f"nothing is logged as '{name}'", where, close_match(name, known)))
        elif known[name] is None:
            problems.append(Problem(f"'{name}' is neither better high nor low", where, "monitor another one"))
    return problems
