"""What a run will log, told from its recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stemcore import UserError, load_recipe, logged_scalars, run
from stemcore.progress import reporter


def test_they_are_what_a_run_logs_and_which_way_is_better(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    recipe = load_recipe(small(model={"channels": [2]}))
    known = logged_scalars(recipe)
    assert (known["val/loss"], known["train/lp"], known["val/psnr"]) == ("min", "min", "max")
    trained = run(recipe, output=tmp_path / "run", fast_dev_run=True, reporter=reporter(quiet=True))
    assert set(known) == {name for name in trained.summary["final"] if "/" in name}


def test_a_recipe_that_does_not_hold_is_refused(small: Callable[..., dict[str, Any]]) -> None:
    recipe = load_recipe(small(trainer={"checkpoint": {"monitor": "val/pnsr"}}))
    with pytest.raises(UserError, match=r"nothing is logged as 'val/pnsr'; did you mean 'val/psnr'\?"):
        logged_scalars(recipe)
