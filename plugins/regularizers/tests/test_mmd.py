from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from stem_regularizers.mmd import MaximumMeanDiscrepancy

from stemcore import UserError


def between_gaussians(shift: float, std: float, h: float, dims: int) -> float:
    """The squared discrepancy of N(0, 1) and N(shift, std^2) in each of so many dimensions: an expectation of the
    kernel over two independent Gaussians is again a Gaussian, of the sum of the variances."""

    def expected(mean: float, variance: float) -> float:
        spread = h**2 + variance
        return (h / np.sqrt(spread) * np.exp(-(mean**2) / (2 * spread))) ** dims

    return expected(0, 2) + expected(0, 2 * std**2) - 2 * expected(shift, 1 + std**2)


@pytest.mark.parametrize(("shift", "std", "h"), [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.4, 1.8, 2.0)])
def test_closed_form_of_gaussians(shift, std, h):
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(160, 120, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    values = torch.stack([MaximumMeanDiscrepancy(bandwidth=h)(x, shift + std * y) for x, y in zip(*draw, strict=True)])
    error = values.std() / len(values) ** 0.5
    assert values.mean().item() == pytest.approx(between_gaussians(shift, std, h, 3), abs=4 * error.item())
    assert error < 2e-3  # Enough to tell it from the biased one, which is 0.01 higher.


def test_the_biased_one_is_larger_by_the_diagonals():
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.randn(30, 4, dtype=torch.float64)
    biased, unbiased = (MaximumMeanDiscrepancy(unbiased=flag) for flag in (False, True))
    # mean over all pairs = (1 - 1/n) mean over the different ones + 1/n, with k(x, x) = 1.
    within = [1 - torch.exp(-0.5 * torch.from_numpy(pdist(t.numpy()) ** 2)).mean() for t in (x, y)]
    expected = unbiased(x, y) + within[0] / 20 + within[1] / 30
    assert biased(x, y).item() == pytest.approx(expected.item(), rel=1e-10)
    assert biased(x, y) > 0


def test_several_kernels_are_added():
    x, y = torch.randn(8, 4), torch.randn(9, 4)
    single = sum(MaximumMeanDiscrepancy(bandwidth=h)(x, y) for h in (0.5, 2.0))
    assert MaximumMeanDiscrepancy(bandwidth=[0.5, 2.0])(x, y).item() == pytest.approx(single.item(), rel=1e-5)


def test_the_median_distance_is_a_bandwidth_like_any_other():
    x, y = torch.randn(8, 4, dtype=torch.float64), 2 + torch.randn(9, 4, dtype=torch.float64)
    h = float(np.sort(pdist(torch.cat([x, y]).numpy()))[67])  # The lower middle one of 136.
    given, median = MaximumMeanDiscrepancy(bandwidth=h), MaximumMeanDiscrepancy(bandwidth="median")
    x.requires_grad_()
    (expected,), (found,) = (torch.autograd.grad(loss(x, y), x) for loss in (given, median))
    assert median(x, y).item() == pytest.approx(given(x, y).item(), rel=1e-10)
    assert torch.allclose(found, expected)
    assert median(x * 1000, y * 1000).item() == pytest.approx(median(x, y).item(), rel=1e-10)


def test_equal_items_have_a_median_distance_that_is_no_zero():
    x = torch.ones(4, 3, requires_grad=True)
    value = MaximumMeanDiscrepancy(bandwidth="median")(x, torch.ones(4, 3))
    value.backward()
    assert value == 0
    assert (x.grad == 0).all()


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (5, 1), (0, 0)])
def test_a_set_of_fewer_than_two_is_zero_with_a_gradient(sizes):
    x, y = (torch.randn(n, 4, requires_grad=True) for n in sizes)
    value = MaximumMeanDiscrepancy()(x, y)
    value.backward()
    assert value == 0
    assert (x.grad == 0).all()


def test_gradient():
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    for unbiased in (False, True):
        loss = MaximumMeanDiscrepancy(bandwidth=[0.7, 1.5], unbiased=unbiased)
        assert torch.autograd.gradcheck(loss, (x, y))


def test_float32_keeps_what_a_kernel_sees_of_close_items_far_away():
    generator = torch.Generator().manual_seed(0)
    x, y = (300 + 0.3 * torch.randn(256, 128, generator=generator) for _ in range(2))
    x, y = x.requires_grad_(), (y + 0.05).requires_grad_()
    loss = MaximumMeanDiscrepancy(bandwidth=4.0)
    expected, found = loss(x.double(), y.double()), loss(x, y)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    for exact, slope in zip(*(torch.autograd.grad(value, (x, y)) for value in (expected, found)), strict=True):
        assert (slope - exact).norm() < 1e-3 * exact.norm()


def test_a_step_brings_two_sets_together():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 2, generator=generator), 1 + torch.randn(40, 2, generator=generator)
    x.requires_grad_()
    loss = MaximumMeanDiscrepancy()
    (slope,) = torch.autograd.grad(loss(x, y), x)
    assert loss(x - slope, y) < loss(x, y)
    assert (x - slope).mean() > x.mean()


def test_items_of_different_width_are_refused():
    with pytest.raises(UserError, match=r"\(4, 3\) with \(4, 2\)"):
        MaximumMeanDiscrepancy()(torch.zeros(4, 3), torch.zeros(4, 2))
