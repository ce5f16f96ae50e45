"""The joint VAE with a mixture of experts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stem_paired.autoencoder import Draw
from stem_paired.monte_carlo import MonteCarloVae
from stem_paired.posteriors import Gaussian


class JointMm(MonteCarloVae):
    """A joint VAE whose posterior, given both platforms, is the mixture of those of either.

    q(z | a, b) = (q(z | a) + q(z | b)) / 2 (Shi et al., Variational Mixture-of-Experts Autoencoders, NeurIPS 2019).
    Latents are drawn from each expert (``latent_a``, ``latent_b``), both platforms decoded from both, and
    ``log_posterior_a`` is the mixture's density at ``latent_a``: means over the two experts of reconstruction and
    divergence are the stratified bound. Of one platform alone, its expert is the posterior.
    """

    def log_posterior(self, p: str, codes: Mapping[str, Gaussian], points: Draw) -> Tensor:
        """Under the mixture of the experts that are there."""
        experts = torch.stack([code.log_density(points.base) for code in codes.values()])
        return torch.logsumexp(experts, dim=0) - math.log(len(codes))
