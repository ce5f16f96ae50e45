from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_regularizers.kl import KLDivergence
from torch.distributions import Normal, kl_divergence


def posterior(n: int = 64, d: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(2))


def test_formula(latent):
    mu, logvar = posterior()
    m, v = mu.numpy(), logvar.numpy()
    expected = (-0.5 * (1 + v - m**2 - np.exp(v)).sum(1)).mean()
    value = KLDivergence()(torch.from_numpy(latent).float(), mu.float(), logvar.float())
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_it_is_the_divergence_from_the_standard_normal():
    mu, logvar = posterior()
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert KLDivergence()(mu, mu, logvar).item() == pytest.approx(expected.item(), rel=1e-12)


def test_a_deterministic_encoder_has_its_latent_for_a_mean(items):
    value = KLDivergence()(torch.from_numpy(items).float())
    assert value.item() == pytest.approx(0.5 * (items**2).sum(1).mean(), rel=1e-5)


def test_the_sampled_latent_does_not_matter_beside_a_mean():
    mu, logvar = posterior()
    z = torch.full_like(mu, torch.nan)
    assert KLDivergence()(z, mu, logvar) == KLDivergence()(mu, mu, logvar)
    assert KLDivergence()(z, mu) == KLDivergence()(mu)


def test_the_prior_costs_exactly_zero():
    z = torch.zeros(4, 8, requires_grad=True)
    value = KLDivergence()(z, z, torch.zeros(4, 8))
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


def test_close_to_the_prior_float32_keeps_its_digits_and_its_sign():
    logvar = torch.full((1, 32), 1e-3)
    value = KLDivergence()(logvar, torch.zeros(1, 32), logvar)
    assert value.item() == pytest.approx(16 * (np.expm1(1e-3) - 1e-3), rel=1e-3)


def test_gradient():
    mu, logvar = (t.requires_grad_() for t in posterior(3, 4))
    assert torch.autograd.gradcheck(lambda m, v: KLDivergence()(m, m, v), (mu, logvar))
    assert torch.autograd.gradcheck(KLDivergence(), mu)


def test_a_convolutional_latent_is_summed_over_all_its_axes():
    z = torch.randn(6, 4, 3, 3)
    assert KLDivergence()(z).item() == pytest.approx(0.5 * z.square().sum().item() / 6, rel=1e-5)


def test_a_single_item():
    mu, logvar = posterior(1)
    assert KLDivergence()(mu, mu, logvar) > 0
