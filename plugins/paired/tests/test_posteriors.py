from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats
from stem_paired.posteriors import Gaussian, log_gaussian, log_mixture, log_standard


def gaussian(n: int, dims: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Gaussian:
    made = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(2, n, dims, generator=made, dtype=torch.float64)
    return Gaussian(mu.to(dtype), logvar.to(dtype))


def test_densities_are_those_of_scipy():
    q = gaussian(6, 5)
    z = torch.randn(3, 6, 5, dtype=torch.float64)
    expected = stats.norm.logpdf(z, q.mu, torch.exp(0.5 * q.logvar)).sum(-1)
    np.testing.assert_allclose(q.log_density(z), expected, rtol=1e-12)
    np.testing.assert_allclose(log_standard(z), stats.norm.logpdf(z).sum(-1), rtol=1e-12)


def test_draws_have_the_posteriors_mean_and_variance_and_pass_gradients_to_both():
    q = Gaussian(torch.tensor([[1.0, -2.0]], requires_grad=True), torch.tensor([[0.0, 2.0]], requires_grad=True))
    many = Gaussian(q.mu.expand(200_000, 2), q.logvar.expand(200_000, 2)).drawn()
    torch.testing.assert_close(many.mean(0), q.mu[0], atol=0.03, rtol=0)
    torch.testing.assert_close(many.var(0), q.logvar[0].exp(), atol=0, rtol=0.02)
    z = q.at(torch.tensor([[2.0, -1.0]]))
    z.sum().backward()
    assert torch.equal(q.mu.grad, torch.ones(1, 2))
    # d(mu + exp(logvar / 2) e) / dlogvar = exp(logvar / 2) e / 2
    torch.testing.assert_close(q.logvar.grad, torch.tensor([[1.0, -0.5 * np.e]], dtype=torch.float32))


def mixture(z: np.ndarray, mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    each = stats.norm.logpdf(z[:, None], mu, np.exp(0.5 * logvar)).sum(-1)
    return special.logsumexp(each, axis=1) - np.log(len(mu))


def test_a_mixture_is_that_of_scipy_and_its_gradients_are_right():
    parts = gaussian(7, 4, seed=1)
    z = torch.randn(2, 5, 4, dtype=torch.float64)
    expected = mixture(z.reshape(-1, 4).numpy(), parts.mu.numpy(), parts.logvar.numpy()).reshape(2, 5)
    np.testing.assert_allclose(log_mixture(z, parts), expected, rtol=1e-10)
    given = [t.requires_grad_() for t in (z, parts.mu, parts.logvar)]
    assert torch.autograd.gradcheck(lambda x, mu, logvar: log_mixture(x, Gaussian(mu, logvar)), given)


@pytest.mark.parametrize("logvar", [0.0, -4.0, -8.0])
def test_a_mixture_far_from_zero_with_small_variances_keeps_its_precision_in_float32(logvar: float):
    made = torch.Generator().manual_seed(0)
    mu = 20.0 + torch.randn(500, 128, generator=made, dtype=torch.float64)
    parts = Gaussian(mu, torch.full_like(mu, logvar))
    z = parts.at(torch.randn(500, 128, generator=made, dtype=torch.float64))[:64]
    expected = mixture(z.numpy(), mu.numpy(), parts.logvar.numpy())
    seen = log_mixture(z.float(), Gaussian(mu.float(), parts.logvar.float()))
    np.testing.assert_allclose(seen, expected, atol=0.1, rtol=1e-3)


def test_a_mixture_is_not_rounded_by_autocast():
    parts = gaussian(9, 16, dtype=torch.float32)
    z = torch.randn(5, 16)
    with torch.autocast("cpu", torch.bfloat16):
        seen = log_mixture(z, parts)
    assert torch.equal(seen, log_mixture(z, parts))


def test_a_mixture_of_one_is_a_gaussian():
    q = gaussian(1, 6)
    z = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(log_mixture(z, q), log_gaussian(z, q.mu, q.logvar))
