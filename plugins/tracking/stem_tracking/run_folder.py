"""What a run directory tells without the libraries that trained it: thousands of them are listed at once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from stem_tracking.documents import at, mapping, number

SUMMARY, RECIPE, ENVIRONMENT, LOG, METRICS = "summary.json", "recipe.yaml", "environment.json", "log.txt", "metrics.csv"
STATUSES = ("running", "finished", "interrupted", "failed", "killed", "broken")
# Reads the same as yaml.SafeLoader, ten times as fast, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Best:
    """The best value of a metric, its epoch, and which way is better (``None`` in runs that do not say)."""

    value: float
    epoch: float | None
    direction: str | None


@dataclass(frozen=True)
class RunFolder:
    """A run directory, or that of a cross-validation.

    Attributes:
        path: where it is.
        folds: the runs of a cross-validation.
        sweep: the folder of the sweep whose trial it is.
    """

    path: Path
    folds: tuple[RunFolder, ...] = ()
    sweep: Path | None = None

    @cached_property
    def trouble(self) -> str | None:
        """What is broken, if anything."""
        if not (self.path / RECIPE).is_file():
            return f"there is no {RECIPE}"
        if not (self._summary[1] or self._known_by_summary):
            return self._recipe[1]
        return self._summary[1]

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``interrupted``, ``failed``, ``killed`` (it left no summary, and no process holds
        its log) or ``broken``."""
        if self.trouble is not None:
            return "broken"
        if any(fold.status == "running" for fold in self.folds) or _is_locked(self.path / LOG):
            return "running"
        status = self._summary[0].get("status")
        # That of a cross-validation is written when it begins, too.
        return status if status in STATUSES and status != "running" else "killed"

    @property
    def reason(self) -> str | None:
        """Why it ended as it did, or what is broken."""
        return self.trouble or self._summary[0].get("reason")

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Its recipe; empty if it cannot be read."""
        return self._recipe[0]

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """Its ``environment.json``; empty if it cannot be read."""
        return _document(self.path / ENVIRONMENT)[0] or (self.folds[0].environment if self.folds else {})

    @property
    def name(self) -> str:
        """The recipe's."""
        return str(self._first.get("name") or self.recipe.get("name") or "")

    @property
    def monitor(self) -> str:
        """What its checkpoints go by."""
        found = self._first.get("monitor")
        return str(found or at(self.recipe, "trainer.checkpoint.monitor") or "")

    @cached_property
    def started(self) -> datetime | None:
        """When it began."""
        try:
            found = datetime.fromisoformat(str(self.environment["started"]))
            return found if found.tzinfo is not None else found.astimezone()  # the two cannot be compared
        except (KeyError, ValueError):
            pass
        try:
            return datetime.fromtimestamp((self.path / RECIPE).stat().st_mtime).astimezone()
        except OSError:
            return None

    @property
    def epochs(self) -> int | None:
        """Epochs that it has trained."""
        found = number(self.summary.get("epochs"))
        return None if found is None else int(found)

    @property
    def seconds(self) -> float | None:
        """Wall time."""
        return number(self.summary.get("wall_seconds"))

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """Its ``summary.json``, or what its metrics tell so far."""
        return self._summary[0] or _so_far(self.path / METRICS)

    @cached_property
    def final(self) -> dict[str, float]:
        """Every metric at the end."""
        found = {str(name): number(value) for name, value in mapping(self.summary.get("final")).items()}
        return {name: value for name, value in found.items() if value is not None and name not in ("epoch", "step")}

    @cached_property
    def best(self) -> dict[str, Best]:
        """The best value of every metric that has a better and a worse."""
        found = {}
        ways = mapping(self._first.get("best"))
        for name, about in mapping(self.summary.get("best")).items():
            value = number(mapping(about).get("value"))
            if value is not None:
                way = mapping(about).get("direction") or mapping(ways.get(name)).get("direction")
                found[str(name)] = Best(value, number(mapping(about).get("epoch")), way)
        return found

    def value(self, metric: str) -> float | None:
        """The best value of a metric, its last one if it has no direction."""
        return self.best[metric].value if metric in self.best else self.final.get(metric)

    @property
    def _first(self) -> Mapping[str, Any]:
        """The summary, or the first of a cross-validation's: the runs of all folds are of one recipe."""
        folds = self.summary.get("folds")
        return mapping(folds[0]) if isinstance(folds, list) and folds else self.summary

    @property
    def _known_by_summary(self) -> bool:
        return bool(self._first.get("name") and self._first.get("monitor"))

    @cached_property
    def _summary(self) -> tuple[Mapping[str, Any], str | None]:
        return _document(self.path / SUMMARY)

    @cached_property
    def _recipe(self) -> tuple[Mapping[str, Any], str | None]:
        try:
            found = yaml.load((self.path / RECIPE).read_text(encoding="utf-8"), Loader=LOADER)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            return {}, f"{RECIPE}: {' '.join(str(error).split())}"
        if not isinstance(found, Mapping):
            return {}, f"{RECIPE} is no recipe"
        return found, None


def _document(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """A JSON file, and what is wrong with it; one that is not there is empty and right."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError) as error:
        return {}, f"{path.name}: {' '.join(str(error).split())}"
    return (found, None) if isinstance(found, Mapping) else ({}, f"{path.name} is no summary")


def _so_far(path: Path) -> dict[str, Any]:
    """Epochs and the last values of a table of metrics, which may be growing."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    final: dict[str, float] = {}
    for row in csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])):
        with suppress(ValueError):  # a line that was cut off
            final.update(
                {name: float(value) for name, value in row.items() if name and isinstance(value, str) and value}
            )
    return {"epochs": final.get("epoch"), "steps": final.get("step"), "final": final} if final else {}


def _is_locked(path: Path) -> bool:
    """Whether a process holds the log, as it does while it trains."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no log, or a disk without locks
        return False
    return False
