from __future__ import annotations

import math

import pytest
import torch
from stem_optimization.curves import Curve, one_cycle, warmup_cosine

from stemcore import UserError


def optimizer(lr=1.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)


def rates(scheduler, n):
    seen = []
    for _ in range(n):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize(("anneal", "theirs"), [("cosine", "cos"), ("linear", "linear")])
@pytest.mark.parametrize("pct_start", [0.25, 0.3])
def test_one_cycle_is_that_of_pytorch(anneal, theirs, pct_start):
    n = 50
    ours = rates(one_cycle(optimizer(0.1), n, max_lr_factor=2.0, anneal=anneal, pct_start=pct_start), n)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer(), 0.2, total_steps=n, pct_start=pct_start, anneal_strategy=theirs, cycle_momentum=False
    )
    assert ours == pytest.approx(rates(reference, n), rel=1e-9, abs=1e-12)


def test_one_cycle_where_pytorch_divides_by_zero():
    seen = rates(one_cycle(optimizer(), 10, pct_start=0.1), 10)
    assert seen[0] == pytest.approx(1.0)
    assert seen[-1] == pytest.approx(1 / 25e4)


def test_one_cycle_stays_low_beyond_the_planned_steps():
    seen = rates(one_cycle(optimizer(), 10), 15)
    assert set(seen[10:]) == {seen[9]}


def test_warmup_cosine_follows_its_formula():
    n, w, low = 100, 10, 0.1
    seen = rates(warmup_cosine(optimizer(2.0), n, warmup_steps=w, min_factor=low), n + 5)
    rise = [2.0 * (i + 1) / w for i in range(w)]
    assert seen[:w] == pytest.approx(rise)
    fall = [2.0 * (low + (1 - low) * (1 + math.cos(math.pi * (i - w + 1) / (n - w + 1))) / 2) for i in range(w, n)]
    assert seen[w:n] == pytest.approx(fall)
    assert seen[n:] == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("warmup", [0, 1])
def test_no_warmup_begins_at_the_top(warmup):
    assert rates(warmup_cosine(optimizer(), 20, warmup_steps=warmup), 1) == [1.0]


def test_fraction_of_the_run():
    seen = rates(warmup_cosine(optimizer(), 40, warmup_fraction=0.25), 40)
    assert seen.index(max(seen)) == 9
    assert max(seen) == pytest.approx(1.0)


def test_a_warmup_longer_than_the_run_is_refused():
    with pytest.raises(UserError, match="warmup_steps is 30, but the run has 20"):
        warmup_cosine(optimizer(), 20, warmup_steps=30)


def test_every_rate_of_a_warmup_is_positive():
    assert min(rates(warmup_cosine(optimizer(), 20, warmup_steps=20), 20)) > 0


def test_factor_stays_outside_the_points():
    curve = Curve(optimizer(), [(2, 0.5), (4, 1.0)], ["linear"])
    assert [curve.factor(step) for step in (0, 2, 3, 4, 9)] == [0.5, 0.5, 0.75, 1.0, 1.0]
