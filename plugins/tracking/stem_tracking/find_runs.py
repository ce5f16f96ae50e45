"""Which run directories there are below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from stem_tracking.run_folder import ENVIRONMENT, LOG, RECIPE, SUMMARY, RunFolder

MARKS = {RECIPE, ENVIRONMENT, SUMMARY, LOG, "checkpoints"}
"""Two of them make a run: what has lost one is still told of, and a folder with a recipe alone is none."""
FOLD = re.compile(r"fold(\d+)")
HEAD_LINES = 200
OF_MLFLOW = re.compile(r"[0-9a-f]{32}")


def is_run(names: set[str]) -> bool:
    """Whether a folder with these contents is a run directory."""
    return len(MARKS & names) >= 2


def find(root: Path) -> Iterator[RunFolder]:
    """The runs of a folder and all below it, or the one that it is; links are not followed."""
    names, folders = _contents(root)
    if is_run(names) and not is_ladder(root):
        yield run_folder(root, folders)
        return
    for name in sorted(folders):
        # MLflow keeps copies of a run's files in <id of the run>/artifacts.
        if not name.startswith(".") and not (name == "artifacts" and OF_MLFLOW.fullmatch(root.name)):
            yield from find(root / name)


def is_ladder(root: Path) -> bool:
    """Whether a folder holds the stages of a ladder, each a run of its own, and no run itself: its recipe begins with
    them, behind a few lines."""
    try:
        with (root / RECIPE).open(encoding="utf-8") as file:
            return any(line.startswith("stages:") for line in islice(file, HEAD_LINES))
    except (OSError, UnicodeDecodeError):
        return False


def open_run(path: Path) -> RunFolder | None:
    """The run in a folder, if it is one."""
    names, folders = _contents(path)
    return run_folder(path, folders) if is_run(names) and not is_ladder(path) else None


def run_folder(path: Path, folders: set[str]) -> RunFolder:
    """A run directory with its folds.

    Args:
        path: where it is.
        folders: the names of those in it.
    """
    numbers = sorted(int(match[1]) for name in folders if (match := FOLD.fullmatch(name)))
    places = [path / f"fold{k}" for k in numbers]
    folds = tuple(RunFolder(place) for place in places if is_run(_contents(place)[0]))
    sweep = path.parent.parent if path.parent.name == "trials" else None
    return RunFolder(path, folds, sweep)


def _contents(path: Path) -> tuple[set[str], set[str]]:
    """The names of what is in a folder, and of the folders among it."""
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return set(), set()
    return {name for name, _ in found}, {name for name, folder in found if folder}
