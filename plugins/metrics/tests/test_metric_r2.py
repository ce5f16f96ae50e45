from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from stem_metrics.r2 import CoefficientOfDetermination


def batches(metric, *tensors, size=17):
    for part in zip(*(t.split(size) for t in tensors), strict=True):
        metric.update(*part)
    return metric.compute().item()


def test_r2_is_that_of_scikit_learn(patterns):
    rows = [x.flatten(1).double().numpy() for x in (patterns.target, patterns.prediction)]
    expected = r2_score(*rows, multioutput="variance_weighted")
    found = batches(CoefficientOfDetermination(), patterns.prediction, patterns.target)
    assert found == pytest.approx(expected, rel=1e-9)


def test_mean_pattern_scores_zero_and_the_target_one(simulated):
    mean = simulated.target.mean(0, keepdim=True).expand_as(simulated.target)
    assert batches(CoefficientOfDetermination(), mean, simulated.target) == pytest.approx(0, abs=1e-6)
    assert batches(CoefficientOfDetermination(), simulated.target, simulated.target) == 1


def test_r2_of_valid_pixels_has_their_own_means(simulated, mask):
    mask[::2, :, :5] = False
    target, prediction = (x.double().numpy().copy() for x in (simulated.target, simulated.prediction))
    target[~mask.numpy()] = prediction[~mask.numpy()] = np.nan
    seen = np.maximum(mask.numpy().sum(0), 1)
    spread = np.nansum((target - np.nansum(target, 0) / seen) ** 2)
    expected = 1 - np.nansum((target - prediction) ** 2) / spread
    noisy = simulated.target.masked_fill(~mask, torch.nan)
    found = batches(CoefficientOfDetermination(), simulated.prediction, noisy, mask)
    assert found == pytest.approx(expected, rel=1e-9)


def test_r2_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(0)
    target = 1e4 + rng.normal(size=(50, 8))
    prediction = target + 0.3 * rng.normal(size=(50, 8))
    found = batches(CoefficientOfDetermination(), torch.from_numpy(prediction), torch.from_numpy(target), size=7)
    assert found == pytest.approx(r2_score(target, prediction, multioutput="variance_weighted"), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_targets_have_no_r2(value):
    metric = CoefficientOfDetermination()
    metric.update(torch.ones(5, 3), torch.full((5, 3), value))
    assert metric.compute().isnan()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_merging_with_one_that_saw_nothing(simulated):
    whole, empty = CoefficientOfDetermination(), CoefficientOfDetermination()
    whole.update(simulated.prediction, simulated.target)
    expected = whole.compute().item()
    empty.merge_state(whole)
    assert empty.compute().item() == pytest.approx(expected, rel=1e-12)
    whole.reset()
    whole.update(simulated.prediction[:9], simulated.target[:9])
    other = CoefficientOfDetermination()
    other.update(simulated.prediction[9:30], simulated.target[9:30])
    whole.merge_state(other)
    whole.update(simulated.prediction[30:], simulated.target[30:])
    assert whole.compute().item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_r2_of_nothing_is_nan():
    assert CoefficientOfDetermination().compute().isnan()


def test_by_feature_is_that_of_scikit_learn_over_what_was_measured(proteins):
    columns = [(t[m], p[m]) for p, t, m in zip(*(x.T for x in proteins), strict=True)]
    expected = [r2_score(*column) for column in columns if len(column[0]) > 2 and np.ptp(column[0])]
    metric = CoefficientOfDetermination(by="feature")
    for part in zip(*(t.split(40) for t in proteins.tensors()), strict=True):
        metric.update(*part)
    found = {name: value.item() for name, value in metric.compute().items()}
    assert found["feature_left_out"] == 2
    assert found["feature_mean"] == pytest.approx(np.mean(expected), rel=1e-9)
    assert found["feature_median"] == pytest.approx(np.median(expected), rel=1e-9)
    assert found.keys() == metric.reports().keys()
