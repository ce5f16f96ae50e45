"""``stem runs show`` and ``stem runs compare``: one run, and what differs between several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stem_tracking.documents import at, leaves, mapping
from stem_tracking.find_runs import open_run
from stem_tracking.listing import document, duration, figure
from stem_tracking.run_folder import RunFolder
from stemcore import UserError

Table = tuple[list[str], list[list[str]]]
PARTS = ("losses", "metrics", "figures")
ENVIRONMENT = ("device", "git", "python", "platform", "versions", "data.fingerprint", "data.items")
NOT_THERE, NULL = "-", "null"


def opened(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs in folders.

    Raises:
        UserError: for each that holds none.
    """
    found = [(path, open_run(path)) for path in paths]
    wrong = [f"{path}: {_no_run(path)}" for path, run in found if run is None]
    if wrong:
        raise UserError(*wrong, hint="'stem runs' lists those that there are")
    return [run for _, run in found if run is not None]


def _no_run(path: Path) -> str:
    return "it holds no run" if path.is_dir() else "there is no such run"


def facts(run: RunFolder) -> list[tuple[str, str]]:
    """What is worth knowing of a run, from its summary, recipe and environment."""
    speed = run.summary.get("items_per_second")
    rows = [
        ("name", run.name),
        ("status", f"{run.status}: {run.reason}" if run.reason else run.status),
        ("started", "" if run.started is None else run.started.isoformat(sep=" ")),
        ("epochs", "" if run.epochs is None else f"{run.epochs}, {run.summary.get('steps')} steps"),
        ("time", duration(run.seconds) + (f", {speed:.4g} items/s" if isinstance(speed, (int, float)) else "")),
        ("parameters", str(run.summary.get("parameters") or "")),
        ("monitor", run.monitor),
        *_recipe(run),
        *((key, text(at(run.environment, key))) for key in ("device", "git", "data.items", "data.fingerprint")),
        *((f"version of {name}", str(v)) for name, v in mapping(run.environment.get("versions")).items()),
    ]
    return [(name, value) for name, value in rows if value not in ("", NOT_THERE, NULL)]


def _recipe(run: RunFolder) -> list[tuple[str, str]]:
    recipe = run.recipe
    rows = [
        ("data", " ".join(filter(None, (_of(at(recipe, f"data.train.{key}")) for key in ("type", "path"))))),
        (
            "model",
            " ".join(f"{k}={text(v)}" if k != "type" else str(v) for k, v in mapping(recipe.get("model")).items()),
        ),
    ]
    for part in PARTS:
        rows.append((part, ", ".join(mapping(recipe.get(part)))))
    optimizer = mapping(recipe.get("optimizer"))
    rows.append(("optimizer", " ".join(_of(optimizer.get(key)) for key in ("type", "lr"))))
    return [(name, value.strip()) for name, value in rows]


def _items(recipe: Mapping[str, Any], key: str) -> Iterable[tuple[str, Any]]:
    return mapping(recipe.get(key)).items()


def _of(value: Any) -> str:
    return "" if value is None else str(value)


def scores(run: RunFolder) -> Table:
    """Every metric: its last and its best value, and the epoch of that."""
    rows = []
    for name in dict.fromkeys([*run.final, *run.best]):
        best = run.best.get(name)
        epoch = "" if best is None or best.epoch is None else f"{best.epoch:g}"
        rows.append([name, figure(run.final.get(name)), figure(None if best is None else best.value), epoch])
    return ["metric", "final", "best", "epoch"], rows


def files(run: RunFolder) -> list[tuple[Path, int]]:
    """The files of a run with their bytes, those of its folds left out."""
    folds = {fold.path for fold in run.folds}
    found = sorted(path for path in run.path.rglob("*") if not folds & set(path.parents))
    return [(path, path.stat().st_size) for path in found if path.is_file()]


def size(count: int) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000  # type: ignore[assignment]
    return f"{count:.3g} {unit}"


def shown(run: RunFolder) -> dict[str, Any]:
    """A run as plain data, with recipe, environment and files."""
    return {
        **document(run),
        "recipe": json.loads(json.dumps(run.recipe, default=str)),  # YAML has dates, JSON has none
        "environment": run.environment,
        "files": {str(path.relative_to(run.path)): count for path, count in files(run)},
    }


def text(value: Any) -> str:
    """A value of a recipe, as short as can be."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def recipe_differences(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """The keys whose values are not the same in all recipes, with the values."""
    return _differences([dict(leaves(run.recipe)) if run.recipe else {} for run in runs])


def environment_differences(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """What is not the same in all environments."""
    return _differences(
        [
            {name: value for key in ENVIRONMENT for name, value in leaves(at(run.environment, key), key)}
            if run.environment
            else {}
            for run in runs
        ]
    )


def _differences(documents: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for found in documents for key in found)
    rows = {key: [text(found[key]) if key in found else NOT_THERE for found in documents] for key in keys}
    return {key: row for key, row in rows.items() if len(set(row)) > 1}


def metrics_beside(runs: Sequence[RunFolder]) -> dict[str, list[float | None]]:
    """The best value of each metric in every run, the last of one that has no direction."""
    names = dict.fromkeys(name for run in runs for name in (*run.best, *run.final))
    return {name: [run.value(name) for run in runs] for name in names}


def outcome(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """How each run went."""
    asked: dict[str, Callable[[RunFolder], str]] = {
        "status": lambda run: run.status,
        "epochs": lambda run: "" if run.epochs is None else str(run.epochs),
        "time": lambda run: duration(run.seconds),
        "parameters": lambda run: str(run.summary.get("parameters") or ""),
    }
    return {name: [tell(run) for run in runs] for name, tell in asked.items()}
