from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error
from stem_metrics.error import CenterError, ExpectedError, MeanSquaredError, WeightedError

from stemcore import UserError


def array(x):
    return x.double().numpy()


def check(metric, values, **left):
    result = metric.compute()
    assert result[""].item() == pytest.approx(np.mean(values), rel=1e-9)
    assert result["std"].item() == pytest.approx(np.std(values), rel=1e-6, abs=1e-9)
    for name, number in left.items():
        assert result[name].item() == number


def test_mse_is_that_of_scikit_learn(patterns):
    metric = MeanSquaredError()
    metric.update(patterns.prediction, patterns.target)
    pairs = zip(array(patterns.target), array(patterns.prediction), strict=True)
    check(metric, [mean_squared_error(t.ravel(), p.ravel()) for t, p in pairs])


def test_mse_of_tables():
    metric = MeanSquaredError()
    metric.update(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 4.0], [0.0, 0.0]]))
    check(metric, [2.0, 12.5])


@pytest.mark.parametrize("size", [32, 7, 200])
def test_center_error_is_that_of_the_central_square(patterns, size):
    metric = CenterError(size=size)
    metric.update(patterns.prediction, patterns.target)
    values = []
    for t, p in zip(array(patterns.target)[:, 0], array(patterns.prediction)[:, 0], strict=True):
        (h, w), (a, b) = t.shape, [min(size, n) for n in t.shape]
        rows, columns = slice((h - a) // 2, (h - a) // 2 + a), slice((w - b) // 2, (w - b) // 2 + b)
        values.append(np.mean((t[rows, columns] - p[rows, columns]) ** 2))
    check(metric, values)


def test_center_error_counts_valid_pixels_of_the_square_only(simulated, mask):
    metric = CenterError(size=16)
    metric.update(simulated.prediction, simulated.target, mask)
    square = np.s_[0, 10:26, 8:24]
    error = (array(simulated.prediction) - array(simulated.target)) ** 2
    rows = enumerate(zip(error, mask.numpy(), strict=True))
    check(metric, [e[square][m[square]].mean() for i, (e, m) in rows if i != 3])


def test_center_error_needs_images():
    with pytest.raises(UserError, match="needs images"):
        CenterError().update(torch.ones(2, 5), torch.ones(2, 5))


def test_weighted_error(patterns):
    metric = WeightedError()
    metric.update(patterns.prediction, patterns.target)
    pairs = zip(array(patterns.target), array(patterns.prediction), strict=True)
    check(metric, [np.mean(t / t.mean() * (t - p) ** 2) for t, p in pairs], left_out=0)


def test_weighted_error_leaves_out_patterns_without_intensity():
    metric = WeightedError()
    target = torch.tensor([[0.0, 0.0], [-1.0, 3.0]])
    metric.update(torch.zeros(2, 2), target)
    check(metric, [9.0], left_out=1)


@pytest.mark.parametrize("space", ["sqrt", "linear"])
def test_expected_error(patterns, space):
    metric = ExpectedError(space=space)
    expected = patterns.expected.clone()
    expected[1::3] = torch.nan
    expected[4, 0, 5, 5] = torch.nan
    prediction = patterns.prediction - 0.2
    metric.update(prediction, expected)
    values = []
    for p, e in zip(array(prediction), array(expected), strict=True):
        if not np.isnan(e).any():
            values.append(np.mean((np.sqrt(np.maximum(p, 0)) - np.sqrt(e)) ** 2 if space == "sqrt" else (p - e) ** 2))
    check(metric, values, left_out=len(expected) - len(values))
    assert 0 < len(values) < len(expected)


def test_expected_error_without_any_truth_is_nan():
    metric = ExpectedError()
    metric.update(torch.ones(2, 1, 4, 4), torch.full((2, 1, 4, 4), torch.nan))
    assert metric.compute()[""].isnan()
    assert metric.compute()["left_out"] == 2


def test_expected_error_of_a_nan_prediction_is_nan():
    metric = ExpectedError()
    metric.update(torch.tensor([[torch.nan, 1.0]]), torch.ones(1, 2))
    assert metric.compute()[""].isnan()
