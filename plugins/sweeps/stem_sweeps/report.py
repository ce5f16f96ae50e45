"""What a sweep leaves: the best recipe, a table of all trials, figures."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from stem_sweeps.figures import history, importance
from stem_sweeps.plan import Plan
from stemcore import StemDeprecationWarning, load_recipe, write_atomically

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SHOWN = 10


def ranked(plan: Plan) -> list[FrozenTrial]:
    """The trials that were trained to their end, the best first."""
    trials = [t for t in plan.study.finished() if t.state == TrialState.COMPLETE]
    sign = 1.0 if plan.direction == "min" else -1.0
    return sorted(trials, key=lambda t: (sign * float(t.value or 0.0), t.number))


def write(plan: Plan) -> dict[str, Path]:
    """Writes the files of a sweep, as far as there is something to write in them, and returns them by what they are."""
    written = {"trials": plan.output / "trials.csv"}
    write_atomically(written["trials"], lambda file: file.write_text(_table(plan), encoding="utf-8"))
    best = ranked(plan)
    if not best:
        return written
    written["best"] = plan.output / "best.yaml"
    text = _recipe(plan, best[0])
    write_atomically(written["best"], lambda file: file.write_text(text, encoding="utf-8"))
    folder = plan.output / "figures"
    folder.mkdir(exist_ok=True)
    for name, drawing in (("history", history(plan)), ("importance", importance(plan))):
        if drawing is not None:
            written[name] = folder / f"{name}.png"
            write_atomically(written[name], lambda file, drawing=drawing: drawing.savefig(file, format="png"))  # type: ignore[misc]
    return written


def _recipe(plan: Plan, trial: FrozenTrial) -> str:
    """The resolved recipe of a trial, which may have been trained on another machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StemDeprecationWarning)
        recipe = load_recipe(plan.recipe, [*plan.overrides, *plan.space.overrides(trial.params)])
    return f"# Trial {trial.number} of the sweep: {plan.monitor} {trial.value:.6g}.\n{recipe.to_yaml()}"


def _table(plan: Plan) -> str:
    keys = plan.space.keys
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", "state", plan.monitor, "epochs", "seconds", *keys, "failure"])
    for t in plan.study.optuna.get_trials(deepcopy=False):
        about = t.user_attrs
        cells = [t.number, state_of(t), "" if t.value is None else repr(t.value)]
        cells += [about.get("epochs", ""), about.get("seconds", ""), *(_cell(t.params.get(key, "")) for key in keys)]
        rows.writerow([*cells, " ".join(about.get("failure", "").split())])
    return text.getvalue()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def state_of(trial: FrozenTrial) -> str:
    """In words: complete, pruned, failed, running, waiting."""
    return {TrialState.FAIL: "failed"}.get(trial.state, trial.state.name.lower())


def counts(plan: Plan) -> dict[str, int]:
    """How many trials ended in which way."""
    states = [state_of(t) for t in plan.study.finished()]
    return {state: states.count(state) for state in ("complete", "pruned", "failed")}


def rows(plan: Plan) -> list[list[str]]:
    """The best trials as a table, its head first."""
    keys = plan.space.keys
    found = [
        [str(t.number), f"{t.value:.6g}", str(t.user_attrs.get("epochs", "")), *(_shown(t.params[key]) for key in keys)]
        for t in ranked(plan)[:SHOWN]
    ]
    return [["trial", plan.monitor, "epochs", *keys], *found]


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _cell(value)


def document(plan: Plan, written: Mapping[str, Path]) -> dict[str, Any]:
    """The sweep as plain data, for ``--json``."""
    best = ranked(plan)
    trials = [
        {
            "trial": t.number,
            "state": state_of(t),
            "value": t.value,
            "parameters": dict(t.params),
            "epochs": t.user_attrs.get("epochs"),
            "seconds": t.user_attrs.get("seconds"),
            "failure": t.user_attrs.get("failure"),
        }
        for t in plan.study.optuna.get_trials(deepcopy=False)
    ]
    return {
        "study": plan.study.optuna.study_name,
        "storage": plan.study.store.label,
        "monitor": plan.monitor,
        "direction": plan.direction,
        **counts(plan),
        "best": None if not best else trials[best[0].number],
        "trials": trials,
        "files": {name: str(path) for name, path in written.items()},
    }
