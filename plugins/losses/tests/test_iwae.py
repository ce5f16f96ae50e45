from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from stem_losses.iwae import ImportanceWeightedBound
from torch.distributions import Normal, kl_divergence

from stemcore import UserError


def drawn(k: int, n: int = 50) -> tuple[torch.Tensor, torch.Tensor, Normal, torch.Tensor]:
    """Items x ~ N(z, 1), z ~ N(0, 1): log weights (n, k) at draws z of a posterior that is a little off, the draws, the
    posterior, and the items."""
    torch.manual_seed(0)
    x = math.sqrt(2) * torch.randn(n, 1, dtype=torch.float64)
    posterior = Normal(x / 2 + 0.3, 0.8)
    z = posterior.sample((k,))[..., 0].T
    return Normal(z, 1.0).log_prob(x) + Normal(0.0, 1.0).log_prob(z) - posterior.log_prob(z), z, posterior, x


def test_formula():
    log_weights = drawn(7)[0]
    expected = -np.mean(logsumexp(log_weights.numpy(), axis=1) - np.log(7))
    assert ImportanceWeightedBound()(log_weights).item() == pytest.approx(expected, rel=1e-12)


def test_one_draw_is_the_evidence_lower_bound():
    log_weights, z, posterior, x = drawn(1)
    log_likelihood = Normal(z, 1.0).log_prob(x)
    divergence = posterior.log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    assert torch.equal(ImportanceWeightedBound()(log_weights), -log_weights.mean())
    assert ImportanceWeightedBound()(log_weights).item() == pytest.approx(
        (divergence - log_likelihood).mean().item(), rel=1e-12
    )


def test_the_mean_of_single_draws_is_the_bound_with_the_divergence_in_closed_form():
    log_weights, _, posterior, x = drawn(4000, n=8)
    # E log N(x; z, 1) under N(m, s^2) is log N(x; m, 1) - s^2 / 2.
    expected = Normal(posterior.mean, 1.0).log_prob(x) - posterior.variance / 2
    expected = (expected - kl_divergence(posterior, Normal(0.0, 1.0))).mean().item()
    single = ImportanceWeightedBound()(log_weights.reshape(-1, 1))
    assert -single.item() == pytest.approx(expected, abs=5 * log_weights.std().item() / log_weights.numel() ** 0.5)


def test_more_draws_come_nearer_to_the_likelihood():
    log_weights, *_, x = drawn(2000)
    exact = -Normal(0.0, math.sqrt(2)).log_prob(x).mean().item()
    bounds = [ImportanceWeightedBound()(log_weights.reshape(-1, k)).item() for k in (1, 5, 50)]
    assert bounds[0] > bounds[1] > bounds[2]
    assert ImportanceWeightedBound()(log_weights).item() == pytest.approx(exact, abs=0.01)
    assert bounds[0] > exact + 0.05


def test_gradient_is_that_of_the_normalised_weights():
    log_weights = drawn(5, n=3)[0].requires_grad_()
    assert torch.autograd.gradcheck(ImportanceWeightedBound(), log_weights)
    (slope,) = torch.autograd.grad(ImportanceWeightedBound()(log_weights), log_weights)
    assert torch.allclose(slope, -log_weights.softmax(1) / 3)


def test_likelihoods_of_thousands_of_features_stay_finite():
    assert ImportanceWeightedBound()(torch.full((4, 5), -1e5)).item() == pytest.approx(1e5)


def test_other_shapes_are_refused():
    with pytest.raises(UserError, match=r"log weights \(n, k\).* not \(6,\)"):
        ImportanceWeightedBound()(torch.zeros(6))
