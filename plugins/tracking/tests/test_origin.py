"""What a run is called in MLflow, and its tags."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest
from stem_tracking.origin import name_of, origin_of


def test_folds_and_trials_are_called_after_what_they_belong_to(tmp_path: Path) -> None:
    (tmp_path / "cv").mkdir()
    (tmp_path / "cv" / "recipe.yaml").touch()
    for path, name in (("cv/fold1", "cv/fold1"), ("sweeps/wide/trials/0003", "wide/0003"), ("runs/a", "a")):
        assert name_of(tmp_path / path) == name


def test_a_user_without_a_name_costs_no_other_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    about = {"plugins": {"a": "x 1", "b": "x 1"}, "device": "CPU", "data": {"fingerprint": "ab"}, "git": None}
    (tmp_path / "environment.json").write_text(json.dumps(about))
    tags = origin_of(tmp_path)
    assert (tags["stemcore.plugins"], tags["stemcore.device"], tags["stemcore.data"]) == ("x 1", "CPU", "ab")
    assert not {"mlflow.user", "stemcore.git"} & set(tags)


@pytest.mark.parametrize("text", ["[]", "{", '{"plugins": 3}', '{"plugins": {}, "device": "CPU", "data": []}'])
def test_an_environment_that_cannot_be_read_costs_no_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(text)
    assert origin_of(tmp_path)["stemcore.directory"] == str(tmp_path)
