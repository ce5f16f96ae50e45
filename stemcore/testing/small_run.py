"""Runs for the examples of components that are given one."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def small_run(folder: Path, recipe: Mapping[str, Any]) -> Path:
    """A run, trained for two batches, in a new folder: for the example of a component with a parameter of type ``Run``.

    It is trained once in a process for each recipe and copied after that, since examples are made anew for each check.

    Args:
        folder: as the example's function gets it.
        recipe: with data that are there without it (the sample of a plugin), few and small.

    Returns:
        the run directory, for the example's ``config``.
    """
    number = 1 + len(list(folder.glob("run[0-9]*")))
    place = folder / f"run{number}"
    shutil.copytree(_trained(json.dumps(recipe, sort_keys=True)), place)
    return place


@lru_cache(maxsize=64)
def _trained(recipe: str) -> Path:
    from stemcore.progress import Reporter  # not before a run is wanted: it takes seconds to import
    from stemcore.runs import run

    folder = Path(tempfile.mkdtemp(prefix="stem-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run(json.loads(recipe), output=folder / "run", fast_dev_run=True, reporter=Reporter())
    return folder / "run"
