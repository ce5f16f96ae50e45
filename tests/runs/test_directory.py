"""Where a run is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.errors import TrainingFailed
from stemcore.runs.directory import begin, default_output


def test_of_two_runs_that_begin_at_once_the_second_is_refused_and_the_first_left_alone(
    small: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    parts = assemble(load_recipe(small()))
    begin(tmp_path / "run", parts, "a device")
    before = (tmp_path / "run" / "recipe.yaml").read_text()
    with pytest.raises(TrainingFailed, match="another run has just begun there"):
        begin(tmp_path / "run", parts, "another device")
    assert (tmp_path / "run" / "recipe.yaml").read_text() == before


def test_runs_of_the_same_second_get_folders_of_their_own(
    small: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(small())
    made = []
    for _ in range(3):
        folder = default_output(recipe.name)
        folder.mkdir(parents=True)
        made.append(folder)
    assert len(set(made)) == 3
    assert {f.parent for f in made} == {Path("runs/small")}
