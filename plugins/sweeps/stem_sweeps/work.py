"""Trains the trials of a sweep, one after the other."""

from __future__ import annotations

import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from optuna.trial import TrialState

from stem_sweeps.plan import Plan
from stemcore import (
    Callback,
    Folds,
    Interrupted,
    Run,
    State,
    StemDeprecationWarning,
    TrainingFailed,
    UserError,
    load_recipe,
    reporter,
    run,
)

if TYPE_CHECKING:
    from optuna.trial import Trial

POLL_SECONDS = 0.5


class Pruning(Callback):
    """Reports the monitored scalar of every epoch, and ends a run that is not worth going on with.

    Args:
        plan: the sweep.
        trial: the one that is trained.
    """

    order: ClassVar[int] = 60

    def __init__(self, plan: Plan, trial: Trial) -> None:
        self.plan, self.trial = plan, trial
        self.alone = True
        """Whether the trial is one run. What a fold reaches says nothing of the mean over all: it is not reported."""
        self.reported = set(plan.study.optuna.trials[trial.number].intermediate_values)
        self.pruned = self.taken = False

    def on_epoch_end(self, state: State) -> None:
        """After the epochs that were validated. The last one is never pruned: it has cost all that it could."""
        if not self.plan.study.is_mine(self.trial):
            self.taken = True
            state.stop("another process has taken the trial over")
            return
        value = state.metrics.get(self.plan.monitor)
        if value is None or not self.alone:
            return
        if state.epoch not in self.reported:
            self.reported.add(state.epoch)
            self.trial.report(value, state.epoch)
        if state.epoch < state.max_epochs and state.stop_reason is None and self.trial.should_prune():
            self.pruned = True
            state.stop(f"pruned: {self.plan.monitor} {value:.6g} after {state.epoch} epochs is not promising")

    def state_dict(self) -> Mapping[str, Any]:
        """Whether it was pruned."""
        return {"pruned": self.pruned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes it back."""
        self.pruned = state["pruned"]


def work(plan: Plan) -> None:
    """Trains until the study has all its trials, those included that others work on.

    Raises:
        Interrupted: after SIGINT or SIGTERM; the trial that was being trained can be gone on with.
    """
    try:
        with stopped_by_signals():
            _work(plan)
    except (Interrupted, KeyboardInterrupt):
        begun = plan.study.put_back_mine()
        where = f" in trial {begun[0]}; the same command goes on with it" if begun else "; the same command goes on"
        raise Interrupted(f"interrupted{where}") from None


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Makes SIGTERM what Ctrl-C is; only the main thread of a process can."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _work(plan: Plan) -> None:
    study, report = plan.study, reporter()
    with report.task("trials", study.trials, done=min(len(study.finished()), study.trials)) as task:
        while True:
            trial = study.claim()
            if trial is not None:
                _attempt(plan, trial)
                report.say(_line(plan, trial.number))
            done = min(len(study.finished()), study.trials)
            task.advance(max(0, done - task.done))
            if done >= study.trials:
                return
            if trial is None:
                time.sleep(POLL_SECONDS)


def _attempt(plan: Plan, trial: Trial) -> None:
    """Trains a trial and writes into the study how it ended."""
    pruning = Pruning(plan, trial)
    trained, failure = None, ""
    with plan.study.at_work(trial):
        try:
            trained = _train(plan, trial, pruning)
        except Interrupted:
            raise
        except (UserError, TrainingFailed) as error:
            failure = str(error)
        except Exception as error:  # memory that ran out, shapes that do not fit: other values may do
            failure = f"{type(error).__name__}: {error}"
    if not pruning.taken and plan.study.is_mine(trial):
        _tell(plan, trial, trained, failure, pruned=pruning.pruned)


def _train(plan: Plan, trial: Trial, pruning: Pruning) -> Run | Folds:
    directory = plan.directory(trial.number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StemDeprecationWarning)  # said once, when the sweep began
        recipe = load_recipe(plan.recipe, [*plan.overrides, *plan.space.overrides(trial.params)])
    pruning.alone = recipe.data.folds is None or recipe.data.fold is not None
    begun = directory if pruning.alone else directory / "fold0"
    if (begun / "checkpoints" / "last.ckpt").is_file():
        return run(recipe, resume=directory, callbacks=[pruning], reporter=reporter())
    shutil.rmtree(directory, ignore_errors=True)  # one that was stopped before its first checkpoint
    return run(recipe, output=directory, callbacks=[pruning], reporter=reporter())


def _tell(plan: Plan, trial: Trial, trained: Run | None, failure: str, *, pruned: bool) -> None:
    study = plan.study.optuna
    best = trained.summary["best"].get(plan.monitor) if trained is not None else None
    if trained is not None:
        trial.set_user_attr("epochs", trained.summary["epochs"])
        trial.set_user_attr("seconds", trained.summary["wall_seconds"])
    if best is None:
        trial.set_user_attr("failure", failure or f"it has no finite {plan.monitor}")
        study.tell(trial, state=TrialState.FAIL)
    elif pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, best["value"])


def _line(plan: Plan, number: int) -> str:
    """What became of a trial."""
    trial = plan.study.optuna.trials[number]
    values = " ".join(f"{key}={value}" for key, value in trial.params.items())
    if trial.state == TrialState.FAIL:
        return f"trial {number} failed: {' '.join(trial.user_attrs['failure'].split())} ({values})"
    if trial.value is None:
        return f"trial {number} was taken over by another process"
    state = " pruned at" if trial.state == TrialState.PRUNED else ""
    return f"trial {number}:{state} {plan.monitor} {trial.value:.6g} ({values})"
