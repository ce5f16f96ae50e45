"""What a callback promises."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch

from stemcore.component.callback import Callback, State
from stemcore.errors import close_match
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.randomness import generator_states
from stemcore.testing.subject import Subject
from stemcore.testing.trial_callback import CallbackTrial, alike, called, saved

EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


@promise("callback")
def check_method_names(subject: Subject) -> None:
    """Each method whose name begins with ``on_`` is one that the trainer calls, with a ``State`` alone: a misspelt one
    would never run."""
    callback = CallbackTrial(subject).fresh()
    for name in dir(callback):
        if not name.startswith("on_"):
            continue
        ensure(name in EVENTS, f"nobody calls its method {name}; {close_match(name, EVENTS)}")
        try:
            inspect.signature(getattr(callback, name)).bind(None)
        except TypeError as error:
            raise Broken(f"{name} cannot be called with a State alone: {error}") from error


@promise("callback")
def check_order(subject: Subject) -> None:
    """``order`` is a whole number: callbacks are called by it, low ones first, the core's from 50 on."""
    order: Any = CallbackTrial(subject).fresh().order
    ensure(type(order) is int, f"its order is {order!r}, not a whole number")


@promise("callback")
def check_whole_run(subject: Subject) -> None:
    """It goes through a run from its start to its end without an error, which would end the training."""
    trial = CallbackTrial(subject)
    trial.fit(trial.fresh(), trial.state())


@promise("callback")
def check_missing_values(subject: Subject) -> None:
    """It bears epochs without validation, values that are missing or NaN, and a run that has nothing left to do (a
    ``UserError`` is fine): recipes validate every few epochs, and a finished run can be resumed."""
    trial = CallbackTrial(subject)
    rows = trial.history
    runs: dict[str, list[Mapping[str, float]]] = {
        "without validation": [{n: v for n, v in row.items() if not n.startswith("val/")} for row in rows],
        "with validation every other epoch": [
            {n: v for n, v in row.items() if k % 2 or not n.startswith("val/")} for k, row in enumerate(rows)
        ],
        "with nothing logged": [{} for _ in rows],
        "with NaN": [dict.fromkeys(row, math.nan) if k > 1 else row for k, row in enumerate(rows)],
        "with nothing to do": [],
    }
    for name, history in runs.items():
        trial.history = history
        try:
            trial.fit(trial.fresh(), trial.state(name.replace(" ", "_")))
        except NotApplicable:
            continue  # It says in words what it misses.
        except Broken as error:
            raise Broken(f"{name}, {error}") from error


@promise("callback")
def check_reports(subject: Subject) -> None:
    """``reports()`` names every scalar that it adds by ``state.report``, each with the direction that is better
    (``"min"``, ``"max"`` or ``None``), and none that the run has anyway: loggers have columns for those alone."""
    trial = CallbackTrial(subject)
    callback, state = trial.fresh(), trial.state()
    announced = callback.reports()
    for name, way in announced.items():
        ensure(way in ("min", "max", None), f"it says of '{name}' that {way!r} is better, not 'min', 'max' or None")
        taken = any(name in row for row in trial.history)
        ensure(not taken, f"it reports '{name}', which the run logs without it")
    trial.fit(callback, state)
    added = {name for row, own in zip(state.history, trial.history, strict=False) for name in {*row} - {*own}}
    unknown = sorted(added - {"epoch", "step", *announced})
    ensure(not unknown, f"it adds {', '.join(map(repr, unknown))}, which reports() does not name")
    if not announced:
        raise NotApplicable("it reports no scalars")


@promise("callback")
def check_leaves_the_run_alone(subject: Subject) -> None:
    """It does not count epochs or steps itself, nor leave the model in evaluation mode or gradients switched off after
    a step, nor does it use random numbers but within ``state.evaluation``: training would go on wrongly without a word.
    A run ends by ``state.stop`` and a reason."""
    trial = CallbackTrial(subject, call=_watch)
    state = trial.state()
    try:
        trial.fit(trial.fresh(), state)
    finally:
        torch.set_grad_enabled(True)
    reason = state.stop_reason
    ensure(reason is None or (isinstance(reason, str) and reason), f"it stopped the run for the reason {reason!r}")


def _watch(callback: Callback, event: str, state: State) -> None:
    def counted() -> dict[str, Any]:
        names = ("epoch", "step", "max_epochs", "steps_per_epoch")
        own = [{n: v for n, v in row.items() if n not in reported} for row in state.history]
        return {name: getattr(state, name) for name in names} | {"history": own}

    reported = callback.reports()
    before, random_before = counted(), generator_states()
    called(callback, event, state)
    for name, value in counted().items():
        ensure(alike(value, before[name]), f"{event} changed state.{name} from {before[name]} to {value}")
    moved = [name for name, at in generator_states().items() if at != random_before[name]]
    ensure(not moved, f"{event} used random numbers of {', '.join(moved)}: draw them within state.evaluation()")
    ensure(torch.is_grad_enabled(), f"after {event} gradients are switched off")
    ensure(event != "on_step_end" or state.model.training, "after on_step_end the model is in evaluation mode")


@promise("callback")
def check_state(subject: Subject) -> None:
    """``state_dict`` holds primitive types and tensors, so that a checkpoint can be read without running code, and
    ``load_state_dict`` takes it back, before ``on_fit_start``."""
    trial = CallbackTrial(subject)
    callback, twin, state = trial.fresh(), trial.fresh(), trial.state()
    trial.fit(callback, state, epochs=len(trial.history) // 2)
    trial.fit(twin, trial.state("twin"), epochs=len(trial.history) // 2)
    kept = saved(callback)
    again, going_on = trial.resumed(kept, state)
    trial.fit(again, going_on, epochs=0)
    _ensure_same(saved(again), kept, saved(twin), "saved and loaded its state has")


@promise("callback")
def check_resume(subject: Subject) -> None:
    """A run resumed after any epoch goes on as if nothing had happened: it stops where it would have, for the same
    reason, and its state is the same in the end."""
    trial = CallbackTrial(subject)
    whole, twin = trial.fresh(), trial.fresh()
    expected = trial.state("whole")
    trial.fit(whole, expected)
    trial.fit(twin, trial.state("twin"))
    for epoch in range(1, expected.epoch):
        first, before = trial.fresh(), trial.state(f"resumed{epoch}")
        trial.fit(first, before, epochs=epoch)
        callback, state = trial.resumed(saved(first), before)
        trial.fit(callback, state)
        what = f"resumed after {epoch} of {len(trial.history)} epochs"
        ensure(
            (state.epoch, state.stop_reason is None) == (expected.epoch, expected.stop_reason is None),
            f"{what} it ends after epoch {state.epoch}, not {expected.epoch}",
        )
        _ensure_same(saved(callback), saved(whole), saved(twin), f"{what} its state has")


def _ensure_same(seen: dict[str, Any], expected: dict[str, Any], twin: dict[str, Any], what: str) -> None:
    """What differs between two equal runs, such as the time they took, may differ here."""
    ensure(set(seen) == set(expected), f"{what} {sorted(seen)}, not {sorted(expected)}")
    for name, value in expected.items():
        steady = alike(value, twin.get(name))
        ensure(not steady or alike(seen[name], value), f"{what} '{name}': {seen[name]!r}, not {value!r}")
