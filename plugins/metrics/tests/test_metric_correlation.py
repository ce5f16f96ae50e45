from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from stem_metrics.correlation import PearsonCorrelation


def scored(*tensors, size=37):
    metric = PearsonCorrelation()
    for part in zip(*(t.split(size) for t in tensors), strict=True):
        metric.update(*part)
    return {name: value.item() for name, value in metric.compute().items()}


def by_scipy(rows):
    """Correlations of rows of prediction, target, mask; none where scipy has none, or which rest on two values."""
    measured = ((p[m], t[m]) for p, t, m in rows)
    return [pearsonr(p, t).statistic for p, t in measured if len(t) > 2 and np.ptp(t)]


def test_features_and_samples_of_a_real_table_are_scipys(proteins):
    found = scored(*proteins.tensors())
    features = by_scipy(zip(*(x.T for x in proteins), strict=True))
    samples = by_scipy(zip(*proteins, strict=True))
    assert found["feature_left_out"] == 2 == proteins.target.shape[1] - len(features)
    assert found["sample_left_out"] == 0
    assert found["feature_mean"] == pytest.approx(np.mean(features), rel=1e-9)
    assert found["feature_median"] == pytest.approx(np.median(features), rel=1e-9)
    assert found["sample_mean"] == pytest.approx(np.mean(samples), rel=1e-6)
    assert found["sample_median"] == pytest.approx(np.median(samples), rel=1e-6)


def test_standardized_features_have_the_same_correlations_and_samples_others(proteins):
    mean = torch.from_numpy(np.nanmean(proteins.target, 0))
    std = torch.from_numpy(np.maximum(np.nanstd(proteins.target, 0), 1e-3))
    prediction, target, mask = proteins.tensors()
    physical = scored(prediction, target, mask)
    model = scored((prediction - mean) / std, (target - mean) / std, mask)
    assert model["feature_median"] == pytest.approx(physical["feature_median"], rel=1e-9)
    assert abs(model["sample_mean"] - physical["sample_mean"]) > 0.01


def test_the_training_mean_alone_looks_good_by_sample_in_physical_units_only():
    rng = np.random.default_rng(0)
    means = torch.from_numpy(5 * rng.normal(size=40))
    target = means + torch.from_numpy(rng.normal(size=(60, 40)))
    guess = means + 1e-3 * torch.from_numpy(rng.normal(size=(60, 40)))
    assert scored(guess, target)["sample_median"] > 0.95
    assert abs(scored(guess - means, target - means)["sample_median"]) < 0.1


def test_far_from_zero_the_digits_are_kept():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(90, 5))
    prediction = target + rng.normal(size=(90, 5))
    expected = np.mean([pearsonr(*pair).statistic for pair in zip(prediction.T, target.T, strict=True)])
    far = scored(torch.from_numpy(prediction + 1e5), torch.from_numpy(target + 1e5), size=11)
    assert far["feature_mean"] == pytest.approx(expected, rel=1e-8)


def test_a_constant_prediction_scores_zero_and_a_reversed_one_minus_one():
    target = torch.tensor([[1.0, 2.0], [2.0, 4.0], [4.0, 3.0]])
    prediction = torch.stack([torch.full((3,), 0.1), -target[:, 1]], 1)
    found = scored(prediction, target, size=2)
    assert found["feature_mean"] == pytest.approx(-0.5)
    assert found["sample_left_out"] == 3
    assert np.isnan(found["sample_mean"])


def test_nan_where_it_counts_is_not_hidden(proteins):
    prediction, target, mask = (t.clone() for t in proteins.tensors())
    row, column = (int(i[3]) for i in torch.where(mask))
    prediction[row, column] = torch.nan
    found = scored(prediction, target, mask)
    assert all(np.isnan(found[f"{of}_{k}"]) for of in ("feature", "sample") for k in ("mean", "median"))
    assert np.isnan(scored(*proteins.tensors()[:2])["feature_mean"])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan():
    assert PearsonCorrelation().compute()["feature_median"].isnan()


def test_merged_parts_are_the_whole(proteins):
    data = proteins.tensors()
    first, second = PearsonCorrelation(), PearsonCorrelation()
    first.update(*(t[:50] for t in data))
    second.update(*(t[50:] for t in data))
    first.merge_state(second)
    assert {k: v.item() for k, v in first.compute().items()} == pytest.approx(scored(*data), rel=1e-9)
