from __future__ import annotations

import torch
from stem_paired.examples import tables
from stem_paired.monte_carlo import MonteCarloVae
from torch.distributions import Normal, kl_divergence


def small() -> MonteCarloVae:
    torch.manual_seed(0)
    return MonteCarloVae(tables(7, 5), latent_dim=6, encoder=[8], decoder=[8], dropout=0.0).double()


def tensors(n: int) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7).double(), "input_b": torch.randn(n, 5).double()}


def divergence(outputs: dict[str, torch.Tensor], p: str) -> torch.Tensor:
    posterior = Normal(outputs[f"mu_{p}"], torch.exp(0.5 * outputs[f"logvar_{p}"]))
    return kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1)


def test_in_evaluation_the_difference_is_the_divergence_itself():
    outputs = small().eval()(**tensors(9))
    for p in "ab":
        difference = outputs[f"log_posterior_{p}"] - outputs[f"log_prior_{p}"]
        assert difference.shape == (9,)
        torch.testing.assert_close(difference, divergence(outputs, p))


def test_in_training_the_difference_is_at_the_latents_drawn_and_its_mean_is_the_divergence():
    outputs = small().train()(**tensors(20_000))
    z, posterior = outputs["latent_a"], Normal(outputs["mu_a"], torch.exp(0.5 * outputs["logvar_a"]))
    torch.testing.assert_close(outputs["log_posterior_a"], posterior.log_prob(z).sum(-1))
    torch.testing.assert_close(outputs["log_prior_a"], Normal(0.0, 1.0).log_prob(z).sum(-1))
    difference = outputs["log_posterior_a"] - outputs["log_prior_a"]
    error = 4.0 * difference.std() / 20_000**0.5
    assert abs(difference.mean() - divergence(outputs, "a").mean()) < error
