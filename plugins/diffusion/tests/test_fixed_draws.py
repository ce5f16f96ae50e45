from __future__ import annotations

import numpy as np
import torch
from scipy.stats import kstest
from stem_diffusion.fixed_draws import fixed_noise, fixed_steps


def test_steps_are_spread_evenly_over_the_items() -> None:
    for items, steps in ((500, 500), (1000, 200), (64, 8)):
        counts = torch.bincount(fixed_steps(torch.arange(items), steps), minlength=steps)
        assert len(counts) == steps
        assert (counts - items / steps).abs().max() <= 2
    assert fixed_steps(torch.zeros(1, dtype=torch.long), 500).tolist() == [250]


def test_noise_is_normal_and_another_for_each_item_and_place() -> None:
    noise = fixed_noise(torch.arange(4000), (2, 3)).double().flatten(1).numpy()
    assert noise.shape == (4000, 6)
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.cov(noise.T), np.eye(6), atol=0.08)
    neighbours = (noise[1:] * noise[:-1]).mean(0)
    np.testing.assert_allclose(neighbours, 0, atol=0.08)
    assert len(np.unique(noise[:, 0])) > 3990


def test_an_item_has_its_own_whatever_is_beside_it() -> None:
    index = torch.tensor([7, 3, 100_000_000])
    noise = fixed_noise(index, (4, 4))
    for k in range(3):
        assert torch.equal(fixed_noise(index[k : k + 1], (4, 4))[0], noise[k])
