"""A study that several processes share: each of its trials is handed out to one of them, and none is lost."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from stem_sweeps.space import Space
from stem_sweeps.storage import Store
from stemcore import UserError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

SAMPLERS, PRUNERS = ("tpe", "random", "grid"), ("median", "hyperband", "none")
ABOUT, WORKER = "stem_sweep", "worker"
"""Attributes of a study (what it was begun with) and of a trial (who is at it, and a count that goes up)."""


class SharedStudy:
    """The trials of a sweep.

    A trial is handed out under the storage's lock. Whoever works on it says so all the time; after ``lost_after``
    seconds of silence somebody else takes it over, from its last checkpoint where that is at hand.

    Args:
        store: where it is kept.
        name: its name there; it is begun if there is none.
        space: what is drawn.
        direction: ``min`` or ``max``.
        about: what the study was begun with, which must stay the same.
        trials: how many it shall have.
        sampler: one of ``SAMPLERS``.
        pruner: one of ``PRUNERS``.
        seed: of the sampler. What a trial draws depends on it, on the trial's number and on the trials before it.
        max_epochs: of a trial.
        lost_after: seconds.

    Raises:
        UserError: if the study was begun with something else.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        space: Space,
        direction: str,
        about: Mapping[str, Any],
        *,
        trials: int,
        sampler: str,
        pruner: str,
        seed: int,
        max_epochs: int,
        lost_after: float = 60.0,
    ) -> None:
        import optuna

        self.store, self.space, self.trials, self.lost_after = store, space, trials, lost_after
        self.sampler, self.seed = sampler, seed
        self.points = space.grid() if sampler == "grid" else []
        self.worker = uuid.uuid4().hex
        self._heard: dict[int, tuple[str, float]] = {}
        self._beats = 0
        with store.locked():
            self.optuna = optuna.create_study(
                storage=store.optuna,
                study_name=name,
                direction="minimize" if direction == "min" else "maximize",
                pruner=_pruner(pruner, max_epochs),
                load_if_exists=True,
            )
            self._refuse_another(name, about)

    def _refuse_another(self, name: str, about: Mapping[str, Any]) -> None:
        begun = self.optuna.user_attrs.get(ABOUT)
        if begun is None and not self.optuna.get_trials(deepcopy=False):
            self.optuna.set_user_attr(ABOUT, json.dumps(about))
            return
        if begun is None:
            hint = "choose another --study"
            raise UserError(f"study '{name}' was not made by stem sweep", where=self.store.label, hint=hint)
        before = json.loads(begun)
        if different := [key for key, value in json.loads(json.dumps(about)).items() if before.get(key) != value]:
            raise UserError(
                f"study '{name}' was begun with another {' and another '.join(different)}",
                where=self.store.label,
                hint="choose another --study, or another --output",
            )

    # ---------------------------------------------------------------- handing out

    def finished(self) -> list[FrozenTrial]:
        """The trials that have ended, however they did."""
        return [t for t in self.optuna.get_trials(deepcopy=False) if t.state.is_finished()]

    def claim(self) -> Trial | None:
        """A trial to work on; ``None`` if all are finished or others work on them."""
        from optuna.trial import TrialState

        with self.store.locked():
            self._take_back_lost()
            trials = self.optuna.get_trials(deepcopy=False)
            waiting = [t for t in trials if t.state == TrialState.WAITING]
            if len(trials) - len(waiting) >= self.trials:
                return None
            if not waiting and self.points:
                self._enqueue_point(trials)
            # Drawn by the number of the trial: the same however many work on the study, and however often it stops.
            number = waiting[0].number if waiting else len(trials)
            self.optuna.sampler = _sampler(self.sampler, self.seed, number)
            trial = self.optuna.ask({p.key: p.distribution() for p in self.space.parameters})
            self._beat(trial)
            return trial

    def _enqueue_point(self, trials: list[FrozenTrial]) -> None:
        """Queues the first combination of the grid that no trial has."""
        taken = [t.system_attrs.get("fixed_params") for t in trials]
        point = next((p for p in self.points if p not in taken), None)
        if point is not None:
            self.optuna.enqueue_trial(point)

    def _take_back_lost(self) -> None:
        from optuna.trial import TrialState

        now = time.monotonic()
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            beat = str(trial.user_attrs.get(WORKER))
            last, since = self._heard.get(trial.number, ("", now))
            if beat != last:  # told by change, not by time: clocks of machines differ
                self._heard[trial.number] = (beat, now)
            elif now - since >= self.lost_after:
                self._requeue(trial._trial_id)

    def put_back_mine(self) -> list[int]:
        """Lets others go on with what this process has claimed and not ended, or itself later.

        Returns:
            the numbers of these trials.
        """
        from optuna.trial import TrialState

        running = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        mine = [t for t in running if str(t.user_attrs.get(WORKER)).startswith(self.worker)]
        for trial in mine:
            self._requeue(trial._trial_id)
        return [t.number for t in mine]

    def _requeue(self, trial_id: int) -> None:
        from optuna.trial import TrialState

        self.store.optuna.set_trial_state_values(trial_id, state=TrialState.WAITING)

    # ---------------------------------------------------------------- working

    def is_mine(self, trial: Trial) -> bool:
        """Whether nobody has taken the trial over, thinking this process lost."""
        from optuna.trial import TrialState

        now = self.store.optuna.get_trial(trial._trial_id)
        said = str(now.user_attrs.get(WORKER, ""))
        return now.state == TrialState.RUNNING and said.startswith(self.worker)

    def _beat(self, trial: Trial) -> None:
        self._beats += 1
        trial.set_user_attr(WORKER, f"{self.worker}:{self._beats}")

    @contextmanager
    def at_work(self, trial: Trial) -> Iterator[None]:
        """Says that the trial is being worked on for as long as the context lasts."""
        done = threading.Event()

        def tell() -> None:
            while not done.wait(self.lost_after / 6):
                if not self.is_mine(trial):
                    return
                self._beat(trial)

        thread = threading.Thread(target=tell, name="sweep heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _sampler(name: str, seed: int, number: int) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own, constant_liar=True) if name == "tpe" else RandomSampler(seed=own)


def _pruner(name: str, max_epochs: int) -> BasePruner:
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    if name == "median":
        return MedianPruner()
    return HyperbandPruner(max_resource=max_epochs) if name == "hyperband" else NopPruner()
