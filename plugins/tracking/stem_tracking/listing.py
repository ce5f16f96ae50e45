"""The table of ``stem runs list``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from stem_tracking.documents import at, is_finite, leaves
from stem_tracking.find_runs import find
from stem_tracking.run_folder import LOADER, RunFolder
from stemcore import UserError

LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)
OTHER_KEYS = {
    "started": lambda run: run.started or LONG_AGO,
    "epochs": lambda run: run.epochs or 0,
    "seconds": lambda run: run.seconds or 0.0,
}
"""What runs are sorted by besides metrics, the newest, the longest and the slowest first."""


def listed(
    root: Path,
    *,
    filters: Sequence[str] = (),
    statuses: Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    limit: int | None = None,
    metrics: Sequence[str] = (),
) -> list[RunFolder]:
    """The runs below a folder, a cross-validation being one, as the options of the verb say.

    Raises:
        UserError: for a filter that is not ``KEY=VALUE``, a key that no recipe has or a metric that no run has.
    """
    found = list(find(root))
    if statuses:
        found = [run for run in found if run.status in statuses]
    for text in filters:
        found = _filtered(found, text)
    _refuse_unknown(found, metrics, "--metric")
    if sort is None:
        found = _together(sorted(found, key=OTHER_KEYS["started"], reverse=True))
        found = found[::-1] if reverse else found
    elif sort in OTHER_KEYS:
        found = sorted(found, key=OTHER_KEYS[sort], reverse=not reverse)
    else:
        _refuse_unknown(found, [sort], "--sort")
        found = _by_metric(found, sort, reverse)
    return found[:limit]


def _together(runs: list[RunFolder]) -> list[RunFolder]:
    """Runs with the trials of each sweep one after the other."""
    groups: dict[Path, list[RunFolder]] = {}
    for run in runs:
        groups.setdefault(run.sweep or run.path, []).append(run)
    return [run for group in groups.values() for run in group]


def _by_metric(runs: list[RunFolder], metric: str, reverse: bool) -> list[RunFolder]:
    """The best first, and last those that have no such value."""
    ways = [run.best[metric].direction for run in runs if metric in run.best]
    largest_first = next((way for way in ways if way), "min") == "max"
    scored = [run for run in runs if is_finite(run.value(metric))]
    rest = [run for run in runs if not is_finite(run.value(metric))]
    return [*sorted(scored, key=lambda run: run.value(metric) or 0.0, reverse=largest_first != reverse), *rest]


def _filtered(runs: list[RunFolder], text: str) -> list[RunFolder]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"'{text}' is not KEY=VALUE", where="--filter", hint="such as model.latent_dim=32")
    wanted = _parsed(value)
    known = [(run, at(run.recipe, key)) for run in runs]
    if runs and all(found is None for _, found in known) and wanted is not None:
        names = {name for run in runs for name, _ in leaves(run.recipe)}
        if key not in {part for name in names for part in _beginnings(name)}:
            raise UserError(f"no recipe has the key '{key}'", where="--filter", hint=_close(key, names))
    return [run for run, found in known if _same(found, wanted) or str(found) == value]


def _parsed(text: str) -> Any:
    """A value as a recipe has it."""
    try:
        found = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError:
        return text
    if isinstance(found, str):  # 1e-3 is a number in recipes, and text in PyYAML
        with suppress(ValueError):
            return float(found)
    return found


def _same(found: Any, wanted: Any) -> bool:
    """Whether two values are the same, a truth value being no number."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _beginnings(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _refuse_unknown(runs: Sequence[RunFolder], metrics: Sequence[str], where: str) -> None:
    known = {name for run in runs for name in (*run.best, *run.final)}
    wrong = [name for name in metrics if name not in known]
    if runs and wrong:
        raise UserError(*(f"no run has '{name}'; {_close(name, known)}" for name in wrong), where=where)


def _close(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none"


def table(runs: Sequence[RunFolder], metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for people: the folds of a cross-validation stand below it."""
    scores = list(metrics) or ["monitor", "best"]
    rows = []
    for run in runs:
        rows.append(_row(run, metrics, run.name or run.path.name))
        rows += [_row(fold, metrics, f"  {fold.path.name}") for fold in run.folds]
    return ["name", "started", "status", "epochs", *scores, "time", "path"], rows


def _row(run: RunFolder, metrics: Sequence[str], name: str) -> list[str]:
    shown = [figure(run.value(metric)) for metric in metrics] or [run.monitor, figure(run.value(run.monitor))]
    started = "" if run.started is None else f"{run.started:%Y-%m-%d %H:%M}"
    epochs = "" if run.epochs is None else str(run.epochs)
    return [name, started, run.status, epochs, *shown, duration(run.seconds), str(run.path)]


def figure(value: float | None) -> str:
    """A number with six digits."""
    return "" if value is None else f"{value:.6g}"


def duration(seconds: float | None) -> str:
    """``h:mm:ss``, or seconds below a minute."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def document(run: RunFolder) -> dict[str, Any]:
    """A run as plain data."""
    return {
        "path": str(run.path),
        "name": run.name,
        "status": run.status,
        "reason": run.reason,
        "started": None if run.started is None else run.started.isoformat(),
        "epochs": run.epochs,
        "steps": run.summary.get("steps"),
        "seconds": run.seconds,
        "monitor": run.monitor,
        "best": {name: vars(best) for name, best in run.best.items()},
        "final": run.final,
        "sweep": None if run.sweep is None else str(run.sweep),
        "folds": [document(fold) for fold in run.folds],
    }
