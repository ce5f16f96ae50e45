from __future__ import annotations

import math

import numpy as np
import pytest
from stem_optimization import weights
from stem_optimization.plugin import stem_weight_schedules

from stemcore import WeightSchedule
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema


def schedule(name, total_epochs, **config):
    target = getattr(weights, stem_weight_schedules()[name].partition(":")[2])
    assert issubclass(target, WeightSchedule)
    schema = Schema(target, KINDS["weight_schedule"], name)
    arguments, problems = schema.validate(config)
    assert not problems
    return schema.build(total_epochs, **arguments)


def test_constant():
    assert schedule("constant", 10, value=0.3).weight(7.5) == 0.3


def test_linear_over_its_epochs_then_stays():
    made = schedule("linear", 50, **{"from": 1.0, "to": 3.0, "epochs": 10})
    epochs = np.array([0, 2.5, 10, 11, 50])
    assert [made.weight(e) for e in epochs] == pytest.approx(np.interp(epochs, [0, 10], [1, 3]))


def test_the_whole_run_by_default():
    for name in ("linear", "cosine"):
        made = schedule(name, 20)
        assert (made.weight(0), made.weight(20)) == (0.0, 1.0)
        assert made.weight(10) == pytest.approx(0.5)


def test_cosine():
    made = schedule("cosine", 10, **{"from": 2.0, "to": 1.0, "epochs": 8.0})
    expected = [1.5 + 0.5 * math.cos(math.pi * min(e / 8, 1)) for e in range(11)]
    assert [made.weight(e) for e in range(11)] == pytest.approx(expected)


def test_cyclical_as_in_fu_et_al():
    total, cycles, ratio = 40, 4, 0.5
    made = schedule("cyclical", total, **{"from": 0.1, "to": 0.9})
    tau = (np.arange(total) % (total // cycles)) / (total / cycles)
    expected = 0.1 + 0.8 * np.where(tau <= ratio, tau / ratio, 1.0)
    assert [made.weight(float(e)) for e in range(total)] == pytest.approx(expected)
    assert made.weight(40) == 0.9


@pytest.mark.parametrize("name", ["linear", "cosine", "cyclical"])
def test_never_negative_even_for_a_run_without_epochs(name):
    made = schedule(name, 0)
    assert all(made.weight(e) >= 0 for e in (0, 0.5, 1, 2))


@pytest.mark.parametrize("config", [{"from": -1.0}, {"to": -0.1}, {"from_": 1.0}])
def test_wrong_configuration(config):
    _, problems = Schema(weights.Linear, KINDS["weight_schedule"], "linear").validate(config)
    assert problems
