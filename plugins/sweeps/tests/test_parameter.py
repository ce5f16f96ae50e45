"""Keys of a space file: what they are read as, and what is wrong with those that cannot be."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from stem_sweeps.parameter import Parameter, read_parameter

from stemcore import UserError, load_yaml


def parameter(tmp_path, text: str) -> Parameter:
    path = tmp_path / "space.yaml"
    path.write_text(f"\nkey: {text}\n")
    node = load_yaml(path).get("key")
    assert node is not None
    return read_parameter("key", node)


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("[8, 16]", CategoricalDistribution([8, 16])),
        ("{values: [adam, null, 1e-3, true]}", CategoricalDistribution(["adam", None, 1e-3, True])),
        ("[[1, 2], {type: log1p}]", CategoricalDistribution(["[1, 2]", '{"type": "log1p"}'])),
        ("{low: 2, high: 9}", IntDistribution(2, 9)),
        ("{low: 2, high: 64, log: true}", IntDistribution(2, 64, log=True)),
        ("{low: 8, high: 64, step: 8}", IntDistribution(8, 64, step=8)),
        ("{low: 1e-4, high: 1e-2, log: true}", FloatDistribution(1e-4, 1e-2, log=True)),
        ("{low: 0.0, high: 1}", FloatDistribution(0, 1)),
        ("{low: 0, high: 1, step: 0.25}", FloatDistribution(0, 1, step=0.25)),
    ],
)
def test_what_is_drawn(tmp_path, text, distribution):
    assert parameter(tmp_path, text).distribution() == distribution


def test_values_reach_the_recipe_as_they_are_written(tmp_path):
    nested = parameter(tmp_path, "[[1, 2], {type: log1p}, '[1, 2, 3]', null, yes, 1e-4]")
    texts = [nested.override(drawn) for drawn in nested.ends()]
    assert texts == ["key=[1, 2]", 'key={"type": "log1p"}', 'key="[1, 2, 3]"', "key=null", 'key="yes"', "key=0.0001"]
    assert parameter(tmp_path, "{low: 1e-6, high: 1.0}").override(1e-5) == "key=1e-05"


def test_points_of_a_grid(tmp_path):
    assert parameter(tmp_path, "{low: 2, high: 5}").points() == [2, 3, 4, 5]
    assert parameter(tmp_path, "{low: 1, high: 6, step: 2}").points() == [1, 3, 5]
    assert parameter(tmp_path, "{low: 0, high: 0.3, step: 0.1}").points() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert parameter(tmp_path, "{low: 0.0, high: 1.0}").points() is None
    assert parameter(tmp_path, "{low: 1, high: 64, log: true}").points() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "key: 3 is one value, not a space; write a list of values, or {low: 1e-4, high: 1e-2, log: true}"),
        ("[]", "key: no list of values; write"),
        ("{values: 3}", "key: no list of values; write"),
        ("{values: [1, 2], log: true}", "key: 'values' beside 'log'"),
        ("[8, 16, 8.0]", "key: 8.0 is there twice"),
        ("[.nan, 1.0]", "key: a value is not finite"),
        ("[8]", "key: there is only one value, so that it changes nothing; give it on the command line: key=8"),
        ("{low: 3, high: 3}", "key: there is only one value"),
        ("{low: 1}", "key: no 'high'"),
        ("{low: 1, high: two}", "key: 'high' is 'two', not a number"),
        ("{low: true, high: 2}", "key: 'low' is True, not a number"),
        ("{low: 1, high: .inf}", "key: 'high' is inf, not a number"),
        ("{low: 5, high: 2}", "key: low 5 is above high 2"),
        ("{low: 0.0, high: 2, log: true}", "key: a range with log must be above 0, low is 0.0"),
        ("{low: 1, high: 9, log: 1}", "key: 'log' is 1; write true or false"),
        ("{low: 1, high: 9, log: true, step: 2}", "key: 'log' and 'step' exclude each other"),
        ("{low: 1, high: 9, step: 0}", "key: step 0 is not above 0 and within the range"),
        ("{low: 1, high: 9, step: 20}", "key: step 20 is not above 0 and within the range"),
        ("{low: 1, high: 9, logs: true}", "key: unknown key 'logs'; did you mean 'log'?"),
    ],
)
def test_what_cannot_be_read_says_why_and_where(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        parameter(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'space.yaml'}:2: {message}")
    assert len(caught.value.problems) == 1
