from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from stem_metrics.diffraction import LogCorrelation, PeakPreservation, RangePreservation


def mean_of(metric, *tensors):
    metric.update(*tensors)
    return metric.compute()[""].item()


def pairs(patterns):
    return zip(patterns.target.double().numpy(), patterns.prediction.double().numpy(), strict=True)


def test_peak_preservation(patterns):
    values = [min(p.max() / t.max(), t.max() / p.max()) for t, p in pairs(patterns)]
    assert mean_of(PeakPreservation(), patterns.prediction, patterns.target) == pytest.approx(np.mean(values))


def test_range_preservation(patterns):
    values = [min(np.ptp(p) / np.ptp(t), np.ptp(t) / np.ptp(p)) for t, p in pairs(patterns)]
    assert mean_of(RangePreservation(), patterns.prediction, patterns.target) == pytest.approx(np.mean(values))


def test_log_correlation_is_scipys_pearson_of_log_counts(patterns):
    values = [pearsonr(np.log1p(t).ravel(), np.log1p(p).ravel()).statistic for t, p in pairs(patterns)]
    metric = LogCorrelation()
    assert mean_of(metric, patterns.prediction, patterns.target) == pytest.approx(np.mean(values), rel=1e-9)
    assert metric.compute()["std"].item() == pytest.approx(np.std(values), rel=1e-6)


def test_log_correlation_of_valid_pixels(simulated, mask):
    arrays = (x.double().numpy() for x in (simulated.target, simulated.prediction))
    values = [
        pearsonr(np.log1p(t[m]), np.log1p(p[m])).statistic
        for i, (t, p, m) in enumerate(zip(*arrays, mask.numpy(), strict=True))
        if i != 3
    ]
    found = mean_of(LogCorrelation(), simulated.prediction, simulated.target, mask)
    assert found == pytest.approx(np.mean(values), rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "prediction", "target", "score", "left_out"),
    [
        (PeakPreservation(), [[-1.0, -2.0]], [[1.0, 2.0]], 0.0, 0),
        (PeakPreservation(), [[4.0, 0.0], [1.0, 1.0]], [[2.0, 1.0], [0.0, 0.0]], 0.5, 1),
        (RangePreservation(), [[3.0, 3.0]], [[1.0, 2.0]], 0.0, 0),
        (RangePreservation(), [[0.0, 4.0], [0.0, 1.0]], [[1.0, 2.0], [7.0, 7.0]], 0.25, 1),
        (LogCorrelation(), [[0.1, 0.1, 0.1]], [[0.0, 1.0, 5.0]], 0.0, 0),
        (LogCorrelation(), [[0.0, 2.0], [1.0, 2.0]], [[1.0, 3.0], [0.1, 0.1]], 1.0, 1),
        (LogCorrelation(), [[-5.0, 2.0, 0.0]], [[0.0, 2.0, 0.0]], 1.0, 0),
    ],
)
def test_edges(metric, prediction, target, score, left_out):
    metric.update(torch.tensor(prediction), torch.tensor(target))
    assert metric.compute()[""].item() == pytest.approx(score, abs=1e-12)
    assert metric.compute()["left_out"] == left_out


def test_masked_peaks_do_not_count():
    target, prediction = torch.tensor([[100.0, 2.0, 1.0]]), torch.tensor([[50.0, 1.0, 0.0]])
    mask = torch.tensor([[False, True, True]])
    assert mean_of(PeakPreservation(), prediction, target, mask) == pytest.approx(0.5)
    assert mean_of(RangePreservation(), prediction, target, mask) == pytest.approx(1.0)
