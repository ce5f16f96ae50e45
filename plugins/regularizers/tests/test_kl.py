from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_regularizers.kl import AlignmentKL, KLDivergence, MonteCarloKL
from torch.distributions import Normal, kl_divergence

from stemcore import UserError


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


def test_the_mean_over_dimensions_does_not_depend_on_their_number():
    mu, logvar = posterior()
    summed, mean = KLDivergence()(mu, mu, logvar), KLDivergence(reduction="mean")(mu, mu, logvar)
    assert mean.item() == pytest.approx(summed.item() / 32, rel=1e-12)
    m, v = mu.numpy(), logvar.numpy()
    assert mean.item() == pytest.approx(0.5 * np.mean(m**2 + np.exp(v) - 1 - v), rel=1e-12)
    twice = (t.repeat(1, 2) for t in (mu, mu, logvar))
    assert KLDivergence(reduction="mean")(*twice).item() == pytest.approx(mean.item(), rel=1e-12)


def log_density(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return Normal(mu, (logvar / 2).exp()).log_prob(z).sum(-1)


def test_monte_carlo_agrees_with_the_closed_form():
    mu, logvar = posterior(3, 4)
    torch.manual_seed(0)
    z = mu[:, None] + (logvar / 2).exp()[:, None] * torch.randn(3, 40_000, 4, dtype=torch.float64)
    log_q, log_p = log_density(z, mu[:, None], logvar[:, None]), log_density(z, 0 * z, 0 * z)
    seen = (log_q - log_p).mean(1)
    # Five standard errors of the mean over items.
    slack = 5 * (log_q - log_p).std(1).square().sum().sqrt().item() / 3 / 200
    assert MonteCarloKL()(log_q, log_p).item() == pytest.approx(seen.mean().item(), rel=1e-12)
    assert MonteCarloKL()(log_q, log_p).item() == pytest.approx(KLDivergence()(mu, mu, logvar).item(), abs=slack)
    assert slack < 0.1


def test_an_estimate_below_zero_has_a_gradient_unless_it_is_free():
    log_q, log_p = torch.tensor([-1.0, -2.0], requires_grad=True), torch.zeros(2)
    value = MonteCarloKL()(log_q, log_p)
    value.backward()
    assert value == -1.5
    assert log_q.grad.tolist() == [0.5, 0.5]
    free = MonteCarloKL(free_bits=0.25)(log_q, log_p)
    assert free == 0.25
    assert torch.autograd.grad(free, log_q)[0].tolist() == [0, 0]


def test_free_bits_are_of_the_batch_and_not_of_its_items():
    assert MonteCarloKL(free_bits=1.0)(torch.tensor([0.0, 4.0]), torch.zeros(2)) == 2


def test_densities_of_different_shape_are_refused():
    with pytest.raises(UserError, match=r"log_posterior \(4,\) and log_prior \(4, 1\) differ"):
        MonteCarloKL()(torch.zeros(4), torch.zeros(4, 1))


def test_alignment_is_the_mean_of_both_directions():
    (mu_a, logvar_a), (mu_b, logvar_b) = posterior(), (t.flip(0) * 0.6 + 0.1 for t in posterior())
    a, b = Normal(mu_a, (logvar_a / 2).exp()), Normal(mu_b, (logvar_b / 2).exp())
    both = 0.5 * (kl_divergence(a, b) + kl_divergence(b, a))
    given = (mu_a, logvar_a, mu_b, logvar_b)
    assert AlignmentKL()(*given).item() == pytest.approx(both.sum(1).mean().item(), rel=1e-12)
    assert AlignmentKL(reduction="mean")(*given).item() == pytest.approx(both.mean().item(), rel=1e-12)
    assert AlignmentKL()(mu_b, logvar_b, mu_a, logvar_a).item() == pytest.approx(both.sum(1).mean().item(), rel=1e-12)


def test_alignment_is_what_draws_from_both_say():
    mu_a, logvar_a, mu_b, logvar_b = (0.5 * t for pair in (posterior(1, 3), posterior(2, 3)) for t in pair)
    mu_b, logvar_b = mu_b[:1] + 0.5, logvar_b[1:]
    torch.manual_seed(0)
    noise = torch.randn(200_000, 3, dtype=torch.float64)
    a, b = mu_a + (logvar_a / 2).exp() * noise, mu_b + (logvar_b / 2).exp() * noise
    ratio_a = log_density(a, mu_a, logvar_a) - log_density(a, mu_b, logvar_b)
    ratio_b = log_density(b, mu_b, logvar_b) - log_density(b, mu_a, logvar_a)
    drawn = 0.5 * (ratio_a + ratio_b)
    slack = 5 * drawn.std().item() / len(drawn) ** 0.5
    assert AlignmentKL()(mu_a, logvar_a, mu_b, logvar_b).item() == pytest.approx(drawn.mean().item(), abs=slack)
    assert slack < 0.05


def test_gradient_of_the_alignment():
    given = tuple(t.requires_grad_() for t in (*posterior(3, 4), *(0.5 * t for t in posterior(3, 4))))
    assert torch.autograd.gradcheck(AlignmentKL(), given)


def test_posteriors_of_different_shape_are_refused():
    z = torch.zeros(4, 3)
    with pytest.raises(UserError, match=r"\(4, 3\) and \(4, 2\) differ in shape"):
        AlignmentKL()(z, z, z[:, :2], z[:, :2])
