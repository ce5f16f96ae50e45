from __future__ import annotations

import io
import math

import pytest
import torch
from stem_optimization import curves, torch_schedulers
from stem_optimization.plugin import stem_schedulers

from stemcore import UserError
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema

STEPS = 60
NAMES = sorted(stem_schedulers())
REQUIRED = {"multi_step": {"milestones": [3, 3, 7]}, "step": {"step_size": 4}}


def adam(lr=1e-3):
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    return torch.optim.Adam([{"params": [first]}, {"params": [second], "lr": 10 * lr}], lr=lr)


def made(name, optimizer, total_steps=STEPS, **config):
    module, _, function = stem_schedulers()[name].partition(":")
    target = getattr({"curves": curves, "torch_schedulers": torch_schedulers}[module.split(".")[1]], function)
    schema = Schema(target, KINDS["scheduler"], name)
    arguments, problems = schema.validate({**REQUIRED.get(name, {}), **config})
    assert not problems
    return schema.build(optimizer, total_steps, **arguments)


def advance(scheduler, n, metric=1.0):
    """The first group's learning rate before each of n steps."""
    rates = []
    for _ in range(n):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step(metric) if scheduler.needs_metric else scheduler.step()
    return rates


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("name", NAMES)
def test_says_how_it_is_driven(name):
    scheduler = made(name, adam())
    assert scheduler.interval in ("step", "epoch")
    assert scheduler.needs_metric is (name == "plateau")


@pytest.mark.parametrize("name", NAMES)
def test_resuming_gives_the_same_learning_rates(name):
    whole = made(name, adam())
    expected = [advance(whole, 17), advance(whole, 30)][1]
    half = made(name, adam())
    advance(half, 17)
    saved = through_a_file({"scheduler": half.state_dict(), "optimizer": half.optimizer.state_dict()})
    optimizer = adam()
    resumed = made(name, optimizer)
    optimizer.load_state_dict(saved["optimizer"])
    resumed.load_state_dict(saved["scheduler"])
    assert advance(resumed, 30) == expected
    assert resumed.interval == whole.interval


@pytest.mark.parametrize("name", NAMES)
def test_state_is_of_primitive_types(name):
    def primitive(value):
        if isinstance(value, dict):
            return type(value) is dict and all(isinstance(k, str) and primitive(v) for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return all(primitive(v) for v in value)
        return value is None or isinstance(value, (bool, int, float, str))

    scheduler = made(name, adam())
    advance(scheduler, 9)
    bad = {key: value for key, value in scheduler.state_dict().items() if not primitive(value)}
    assert not bad


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plateau"])
@pytest.mark.parametrize("total_steps", [1, 2, 7])
def test_short_runs_and_runs_that_go_on_longer(name, total_steps):
    rates = advance(made(name, adam(), total_steps), 40)
    assert all(math.isfinite(rate) and 0 <= rate <= 1e-3 * 3.34 for rate in rates)


@pytest.mark.parametrize("name", NAMES)
def test_groups_keep_their_proportion(name):
    scheduler = made(name, adam())
    advance(scheduler, 23)
    first, second = (group["lr"] for group in scheduler.optimizer.param_groups)
    assert second == pytest.approx(10 * first)


def test_cyclic_is_a_triangle_between_the_rate_and_a_multiple():
    rates = advance(made("cyclic", adam(), step_size_up=4, max_lr_factor=3.0), 17)
    expected = [1e-3 * (1 + 2 * max(0.0, 1 - abs((i % 8) / 4 - 1))) for i in range(17)]
    assert rates == pytest.approx(expected)
    tenth = advance(made("cyclic", adam()), STEPS)
    assert tenth[STEPS // 10] == pytest.approx(3.33e-3)
    assert (tenth[0], tenth[STEPS // 5]) == (pytest.approx(1e-3), pytest.approx(1e-3))
    halved = advance(made("cyclic", adam(), step_size_up=4, mode="triangular2"), 13)
    assert halved[12] - 1e-3 == pytest.approx((halved[4] - 1e-3) / 2)


def test_cosine_over_the_run_by_step_or_over_epochs():
    whole = made("cosine", adam(), eta_min=1e-5)
    assert whole.interval == "step"
    expected = [1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * i / STEPS)) / 2 for i in range(STEPS)]
    assert advance(whole, STEPS) == pytest.approx(expected)
    assert made("cosine", adam(), epochs=5).interval == "epoch"


def test_cosine_restarts():
    rates = advance(made("cosine_restarts", adam(), epochs=4, factor=2), 12)
    expected = [(1 + math.cos(math.pi * t)) / 2 for t in (*(i / 4 for i in range(4)), *(i / 8 for i in range(8)))]
    assert rates == pytest.approx([1e-3 * value for value in expected])


def test_linear_polynomial_exponential_step_constant():
    assert advance(made("linear", adam()), STEPS) == pytest.approx([1e-3 * (1 - i / STEPS) for i in range(STEPS)])
    polynomial = advance(made("polynomial", adam(), power=2.0, epochs=5), 7)
    assert polynomial == pytest.approx([1e-3 * max(0, 1 - i / 5) ** 2 for i in range(7)])
    assert advance(made("exponential", adam(), gamma=0.9), 5) == pytest.approx([1e-3 * 0.9**i for i in range(5)])
    assert advance(made("step", adam(), step_size=2), 5) == pytest.approx([1e-3 * 0.1 ** (i // 2) for i in range(5)])
    constant = advance(made("constant", adam(), factor=0.5, epochs=3), 5)
    assert constant == pytest.approx([5e-4, 5e-4, 5e-4, 1e-3, 1e-3])


def test_multi_step_counts_a_milestone_as_often_as_it_is_named():
    rates = advance(made("multi_step", adam(), milestones=[2, 4, 4]), 6)
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-6, 1e-6])
    with pytest.raises(UserError, match="ascending"):
        made("multi_step", adam(), milestones=[4, 2])


def test_plateau_shrinks_after_its_patience():
    scheduler = made("plateau", adam(), patience=2, factor=0.5, monitor="val/psnr", mode="max")
    assert scheduler.monitor == "val/psnr"
    rates = [*advance(scheduler, 1, metric=20.0), *advance(scheduler, 4, metric=19.0)]
    assert rates == pytest.approx([1e-3] * 4 + [5e-4])
    assert advance(scheduler, 2, metric=30.0) == pytest.approx([5e-4, 5e-4])
