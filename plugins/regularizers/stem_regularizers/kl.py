"""Kullback-Leibler divergence of the posterior from the standard normal."""

from __future__ import annotations

import torch
from torch import Tensor

from stemcore import Loss


class KLDivergence(Loss):
    """KL(N(mu, exp logvar) || N(0, 1)) = -1/2 sum_d (1 + logvar - mu^2 - exp logvar), mean over the batch, in nats.

    Kingma and Welling, arXiv:1312.6114, appendix B. A deterministic encoder, which provides neither, has its latent for
    ``mu`` and a ``logvar`` of zero: then it is 1/2 sum_d z^2.
    """

    def forward(self, latent: Tensor, mu: Tensor | None = None, logvar: Tensor | None = None) -> Tensor:
        """The divergence, a scalar >= 0, of ``mu`` and ``logvar`` (n, ...) where there are any, else of the latent."""
        mean = latent if mu is None else mu
        log_variance = torch.zeros_like(mean) if logvar is None else logvar
        # expm1(v) - v rather than exp(v) - 1 - v, which loses all digits as the posterior nears the prior.
        per_dimension = mean.square() + torch.expm1(log_variance) - log_variance
        return 0.5 * per_dimension.flatten(1).sum(1).mean()
