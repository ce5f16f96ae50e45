"""The plugin as stemcore sees it, once it is installed (``pip install -e .``)."""

from __future__ import annotations

import pytest

from stemcore import UserError, load_recipe, run


def test_its_recipe_is_valid() -> None:
    term = load_recipe("stem4d-tv").losses["total_variation"]
    assert (term.weight, term.component.arguments) == (1e-3, {"eps": 0.0})


def test_its_parameters_are_checked() -> None:
    with pytest.raises(UserError, match="eps should be greater than or equal to 0, got -1"):
        load_recipe("stem4d-tv", ["losses.total_variation.eps=-1"])


def test_it_trains(tmp_path) -> None:
    recipe = load_recipe("stem4d-tv", ["figures=null", "loggers=[csv]", "model.channels=[4, 8]"])
    trained = run(recipe, output=tmp_path / "run", fast_dev_run=True)
    assert trained.summary["final"]["train/total_variation"] > 0
