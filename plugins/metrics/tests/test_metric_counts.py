from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_poisson_deviance
from stem_metrics.counts import PoissonDeviance


def test_deviance_is_that_of_scikit_learn(patterns):
    metric = PoissonDeviance()
    metric.update(patterns.prediction, patterns.target)
    pairs = zip(patterns.target.double().numpy(), patterns.prediction.double().numpy().clip(1e-6), strict=True)
    values = [mean_poisson_deviance(t.ravel(), p.ravel()) for t, p in pairs]
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-9)
    assert metric.compute()["std"].item() == pytest.approx(np.std(values), rel=1e-6)


@pytest.mark.parametrize(
    ("rate", "counts", "deviance"),
    [
        ([2.0, 3.0], [0.0, 3.0], 2.0),
        ([-5.0, 1.0], [0.0, 1.0], 1e-3),
        ([1.0, 1.0], [-4.0, 1.0], 1.0),
        ([0.0], [2.0], 2 * (2 * np.log(2 / 1e-3) - 2 + 1e-3)),
    ],
)
def test_edges_of_deviance(rate, counts, deviance):
    metric = PoissonDeviance(eps=1e-3)
    metric.update(torch.tensor([rate]), torch.tensor([counts]))
    assert metric.compute()[""].item() == pytest.approx(deviance, rel=1e-5)


def test_masked_pixels_have_no_deviance(simulated, mask):
    metric = PoissonDeviance()
    metric.update(simulated.prediction, simulated.target, mask)
    arrays = [x.double().numpy() for x in (simulated.target, simulated.prediction.clamp(min=1e-6))]
    rows = enumerate(zip(*arrays, mask.numpy(), strict=True))
    values = [mean_poisson_deviance(t[m], p[m]) for i, (t, p, m) in rows if i != 3]
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-6)
