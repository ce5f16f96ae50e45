"""What a sweep is asked to do, checked before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stem_sweeps.space import Space, read_space, refuse_unfit
from stem_sweeps.storage import Store, refuse_without_optuna
from stem_sweeps.study import SharedStudy
from stemcore import Recipe, UserError, logged_scalars

ELSEWHERE = ("name", "requires", "loggers", "figures", "path", "cache", "num_workers", "backend", "devices")
"""Keys of a recipe that may differ between the machines of a sweep, or from one call to the next."""


@dataclass(frozen=True)
class Request:
    """The arguments of the command, as they were given; see its help."""

    recipe: str
    overrides: tuple[str, ...]
    space: str
    trials: int | None
    output: Path | None
    storage: str | None
    study: str | None
    monitor: str | None
    sampler: str
    pruner: str
    seed: int | None
    lost_after: float


@dataclass(frozen=True)
class Plan:
    """A sweep that can begin.

    Attributes:
        recipe: name or path of the recipe.
        overrides: of it, in every trial.
        space: what changes from trial to trial.
        monitor: the scalar that is to be best.
        direction: ``min`` or ``max``.
        output: the folder of the sweep.
        study: the trials.
    """

    recipe: str
    overrides: tuple[str, ...]
    space: Space
    monitor: str
    direction: str
    output: Path
    study: SharedStudy

    def directory(self, number: int) -> Path:
        """The run directory of a trial."""
        return self.output / "trials" / f"{number:04d}"


def prepare(request: Request) -> Plan:
    """Checks everything and opens the study.

    Raises:
        UserError: with what is wrong.
    """
    refuse_without_optuna()
    space = read_space(request.space)
    first = refuse_unfit(space, request.recipe, request.overrides)
    overrides = request.overrides
    _refuse_several_processes(first)
    if first.trainer.devices == "auto":
        overrides = (*overrides, "trainer.devices=1")
    monitor, direction = _monitored(first, space, request.monitor)
    points = len(space.grid()) if request.sampler == "grid" else None
    if request.trials is None and points is None:
        raise UserError("how many trials?", where="--trials", hint="only a grid has a number of its own")
    output = request.output or Path("sweeps") / first.name
    if output.exists() and not output.is_dir():
        raise UserError("it is not a folder", where=str(output), hint="choose another --output")
    about = {
        "space": space.document(),
        "monitor": monitor,
        "recipe": _without(first.document(), [*ELSEWHERE, "monitor"]),
    }
    study = SharedStudy(
        Store(request.storage or str(output / "study.journal")),
        request.study or first.name,
        space,
        direction,
        about,
        trials=min(request.trials or points or 0, points or request.trials or 0),
        sampler=request.sampler,
        pruner=request.pruner,
        seed=first.seed if request.seed is None else request.seed,
        max_epochs=first.trainer.max_epochs,
        lost_after=request.lost_after,
    )
    output.mkdir(parents=True, exist_ok=True)
    return Plan(request.recipe, overrides, space, monitor, direction, output, study)


def _monitored(first: Recipe, space: Space, given: str | None) -> tuple[str, str]:
    """What is to be best, and which way."""
    known = logged_scalars(first)
    monitor = given or first.trainer.checkpoint.monitor
    scores = sorted(name for name, way in known.items() if way is not None and name.startswith("val/"))
    if monitor not in known:
        raise UserError(f"nothing is logged as '{monitor}'", where="--monitor", hint=f"known: {', '.join(scores)}")
    direction = known[monitor]
    if direction is None:
        raise UserError(f"'{monitor}' is neither better high nor low", where="--monitor", hint="choose another one")
    weights = [p for p in space.parameters if p.key.startswith("losses.") and ".weight" in p.key]
    if given is None and monitor in ("val/loss", "train/loss") and weights:
        raise UserError(
            f"{weights[0].key} changes what {monitor} adds up, so that trials cannot be compared by it",
            where=weights[0].where,
            hint=f"give --monitor one of {', '.join(name for name in scores if name != monitor)}",
        )
    return monitor, direction


def _refuse_several_processes(first: Recipe) -> None:
    devices = first.trainer.devices
    several = len(devices) > 1 if isinstance(devices, list) else devices not in ("auto", 1)
    if several or first.trainer.num_nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        where = first.where(("trainer", "devices"))
        hint = "set trainer.devices=1, and give --workers"
        raise UserError("a sweep trains each trial in one process", where=where, hint=hint)


def _without(document: Any, keys: Sequence[str]) -> Any:
    if isinstance(document, Mapping):
        return {key: _without(value, keys) for key, value in document.items() if key not in keys}
    if isinstance(document, list):
        return [_without(item, keys) for item in document]
    return document
