from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_metrics.features import from_two, in_two, median, merged, moments
from stem_metrics.pattern import pixels


@pytest.mark.parametrize("values", [[3.0], [1.0, 4.0], [5.0, 1.0, 2.0], [4.0, 4.0, 1.0, 0.0]])
def test_median_is_numpys(values):
    assert median(torch.tensor(values)).item() == np.median(values)


def test_median_of_nothing_and_beside_a_nan():
    assert median(torch.zeros(0)).isnan()
    assert median(torch.tensor([1.0, torch.nan, 2.0, 3.0])).isnan()


def test_two_float32_hold_what_one_cannot():
    x = torch.tensor([1 / 3, 1e9 + 0.25, -7.0], dtype=torch.float64)
    assert from_two(torch.stack(in_two(x))[None])[0].tolist() == pytest.approx(x.tolist(), rel=1e-14)
    assert (x.float().double() != x).any()


def test_moments_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    target, prediction, valid = rng.normal(50, 1, (40, 6)), rng.normal(50, 2, (40, 6)), rng.random((40, 6)) < 0.7
    valid[:25, 2] = False  # The first part has nothing of it.
    data = [torch.from_numpy(x) for x in (prediction, target, valid)]
    parts = torch.stack([moments(pixels(*(x[part] for x in data)), True) for part in (slice(0, 25), slice(25, 40))])
    p, t = (np.ma.array(x, mask=~valid) for x in (prediction, target))
    apart = (t - t.mean(0)) * (p - p.mean(0))
    counts = valid.sum(0)
    expected = [
        counts,
        ((p - t) ** 2).sum(0),
        t.mean(0),
        t.var(0) * counts,
        p.mean(0),
        p.var(0) * counts,
        apart.sum(0),
    ]
    assert np.allclose(merged(parts).numpy(), np.array([np.ma.getdata(e) for e in expected]), rtol=1e-11)
    assert np.allclose(merged(parts[:, :4]).numpy(), merged(parts)[:4].numpy())
