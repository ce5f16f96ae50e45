"""Where a run is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.errors import TrainingFailed, UserError
from stemcore.runs.directory import JOB, begin, default_output, refuse_occupied, undone_if_wrong


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


def test_the_job_of_a_run_may_be_there_before_it_and_stays(
    small: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    output = tmp_path / "run"
    (output / JOB).mkdir(parents=True)
    (output / JOB / "job.sh").write_text("stem run")
    refuse_occupied(output)
    parts = assemble(load_recipe(small()))
    with suppress(UserError), undone_if_wrong(output):
        begin(output, parts, "a device")
        refuse_occupied(output)
    assert [path.name for path in output.iterdir()] == [JOB], "refused, as it holds a run, it was undone"
    assert (output / JOB / "job.sh").read_text() == "stem run"
