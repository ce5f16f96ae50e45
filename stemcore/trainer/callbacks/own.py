"""The callbacks of every run: the recipe's and the trainer's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stemcore.assemble.monitors import metric_names
from stemcore.assemble.parts import Term
from stemcore.component.callback import Callback
from stemcore.component.logger import Logger
from stemcore.trainer.callbacks.dispatch import Dispatch
from stemcore.trainer.callbacks.early_stopping import EarlyStopping
from stemcore.trainer.callbacks.keeper import Keeper
from stemcore.trainer.callbacks.record import Record
from stemcore.trainer.collect import collect
from stemcore.trainer.optim import rates
from stemcore.trainer.setup import Setup


def keeper_of(setup: Setup) -> Keeper:
    """Which checkpoints the recipe wants kept."""
    kept = setup.parts.recipe.trainer.checkpoint
    way = setup.parts.directions[kept.monitor] or "min"
    return Keeper(kept.monitor, way, kept.every_n_epochs, kept.save_top_k)


def record_of(setup: Setup, loggers: Sequence[Logger]) -> Record:
    """Writes down scalars and draws figures, on the first process. Where parameters are shared out, all processes have
    to compute what the first one draws."""
    parts, first = setup.parts, setup.first

    def gathered(term: Term) -> dict[str, Any]:
        with setup.averaged():
            return collect(term, parts, setup.model, setup.fabric)

    figures = parts.figures if first or setup.passes.sharded else []
    return Record(loggers if first else [], figures, gathered, draws=first)


def dispatch(setup: Setup, keeper: Keeper, record: Record) -> Dispatch:
    """All callbacks of a run by name."""
    parts = setup.parts
    callbacks: dict[str, Callback] = {**parts.callbacks, "core.keeper": keeper, "core.record": record}
    stopping = parts.recipe.trainer.early_stopping
    if stopping is not None:
        way = parts.directions[stopping.monitor] or "min"
        callbacks["core.stopping"] = EarlyStopping(stopping.monitor, way, stopping.patience, stopping.min_delta)
    return Dispatch(callbacks)


def columns(setup: Setup) -> list[str]:
    """The names of all scalars that a run will log."""
    parts = setup.parts
    steps = [f"step/{n}" for n in setup.new_meter().names]
    for term in parts.metrics:
        if term.every:
            steps += [f"step/{n}" for n in metric_names(term.name, term.component)]
    scored = [n for n in parts.directions if not n.startswith("val/") or parts.sources.val is not None]
    return [*rates(setup.groups), *scored, *steps]
