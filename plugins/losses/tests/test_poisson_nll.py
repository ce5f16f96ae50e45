from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from stem_losses.poisson_nll import PoissonNLL

EPS = 0.1


def value_and_slope(rates: np.ndarray, count: float, **options) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each rate by itself, and its derivative."""
    rate = torch.tensor(rates, dtype=torch.float64, requires_grad=True)
    error = PoissonNLL(**options).error(rate, torch.full_like(rate, count))
    (slope,) = torch.autograd.grad(error.sum(), rate)
    return error.detach().numpy(), slope.numpy()


def test_it_is_compared_in_physical_units():
    assert PoissonNLL.inputs == {"prediction": "prediction@physical", "target": "target@physical"}


def test_formula_on_measured_patterns(counts, blurred):
    rates = blurred + EPS
    expected = (rates - counts * np.log(rates)).mean()
    value = PoissonNLL()(torch.from_numpy(rates).float(), torch.from_numpy(counts).float())
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_full_is_the_likelihood_of_measured_patterns(counts, blurred):
    rates = blurred + EPS
    value = PoissonNLL(full=True)(torch.from_numpy(rates).float(), torch.from_numpy(counts).float())
    assert value.item() == pytest.approx(-poisson.logpmf(counts, rates).mean(), rel=1e-5)


def test_full_does_not_change_the_gradient():
    rates = np.linspace(-1, 5, 25)
    np.testing.assert_array_equal(value_and_slope(rates, 3.0)[1], value_and_slope(rates, 3.0, full=True)[1])


@pytest.mark.parametrize("count", [0.0, 1.0, 0.04, 7.0, 300.0])
@pytest.mark.parametrize("eps", [1e-3, EPS, 1.0])
def test_below_eps_it_is_the_log_likelihood_of_a_normal_law(count, eps):
    rates = np.linspace(-5, eps, 50)
    value, slope = value_and_slope(rates, count, eps=eps)
    joint = eps - count * np.log(eps)
    np.testing.assert_allclose(value, joint + ((rates - count) ** 2 - (eps - count) ** 2) / (2 * eps), rtol=1e-9)
    np.testing.assert_allclose(slope, (rates - count) / eps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [0.0, 1.0, 0.04, 7.0])
def test_the_slope_is_continuous_increasing_and_zero_at_the_count_alone(count):
    rates = np.sort(np.append(np.linspace(-3, 12, 3001), [EPS, np.nextafter(EPS, 0), np.nextafter(EPS, 1)]))
    value, slope = value_and_slope(rates, count, eps=EPS)
    step = np.diff(rates)
    assert (np.diff(slope)[step > 1e-9] >= 0).all()
    assert np.abs(np.diff(slope)).max() <= (1 + count) / EPS**2 * step.max()
    assert np.abs(np.diff(value)).max() <= np.abs(slope).max() * step.max()
    np.testing.assert_array_equal(np.sign(slope[rates != count]), np.sign(rates - count)[rates != count])


@pytest.mark.parametrize("count", [0.0, 1.0])
@pytest.mark.parametrize("rate", [0.0, -1e-3, -1.0, -50.0])
def test_a_rate_that_is_not_positive_is_pushed_up(rate, count):
    """At an empty pixel a rate of zero is right; a negative one must not be driven on to minus infinity."""
    value, slope = value_and_slope(np.array([rate]), count)
    assert np.isfinite(value).all()
    assert slope[0] < 0 or rate == count == 0


def test_gradient_descent_from_negative_rates_finds_the_counts():
    target = torch.tensor([[0.0, 1.0, 4.0]])
    rate = torch.full((1, 3), -0.5, requires_grad=True)
    optimizer = torch.optim.SGD([rate], lr=0.05)
    for _ in range(3000):
        optimizer.zero_grad()
        PoissonNLL()(rate, target).backward()
        optimizer.step()
    torch.testing.assert_close(rate.detach(), target, atol=1e-3, rtol=0)


@pytest.mark.parametrize("true_rate", [0.02, 0.5, 6.0])
def test_on_average_the_slope_vanishes_at_the_true_rate(true_rate):
    counts = np.arange(60)
    slopes = np.array([value_and_slope(np.array([true_rate]), float(n))[1][0] for n in counts])
    assert (poisson.pmf(counts, true_rate) * slopes).sum() == pytest.approx(0, abs=1e-9)
