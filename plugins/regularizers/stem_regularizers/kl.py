"""Kullback-Leibler divergences of posteriors: from the standard normal, from any prior, and from each other."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss, UserError

Reduction = Literal["sum", "mean"]


class KLDivergence(Loss):
    """KL(N(mu, exp logvar) || N(0, 1)) = -1/2 sum_d (1 + logvar - mu^2 - exp logvar), mean over the batch, in nats.

    Kingma and Welling, arXiv:1312.6114, appendix B. A deterministic encoder, which provides neither, has its latent for
    ``mu`` and a ``logvar`` of zero: then it is 1/2 sum_d z^2.

    Args:
        reduction: over the latent's dimensions; the mean is taken over the batch either way. With ``mean`` the value
            does not depend on the latent's width.
    """

    def __init__(self, *, reduction: Reduction = "sum") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, latent: Tensor, mu: Tensor | None = None, logvar: Tensor | None = None) -> Tensor:
        """The divergence, a scalar >= 0, of ``mu`` and ``logvar`` (n, ...) where there are any, else of the latent."""
        mean = latent if mu is None else mu
        log_variance = torch.zeros_like(mean) if logvar is None else logvar
        # expm1(v) - v rather than exp(v) - 1 - v, which loses all digits as the posterior nears the prior.
        per_dimension = mean.square() + torch.expm1(log_variance) - log_variance
        return 0.5 * over_dimensions(per_dimension, self.reduction).mean()


class MonteCarloKL(Loss):
    """KL(q || p) of any posterior from any prior, E[log q(z | x) - log p(z)], estimated at the latents that were drawn.

    For posteriors and priors without a closed form: flows, mixtures, priors with pseudo-inputs (Tomczak and Welling,
    arXiv:1705.07120). The model gives both densities at z. The estimate is unbiased and may be negative.

    Args:
        free_bits: nats per item below which the mean over the batch costs no more, so that the posterior may keep that
            much of its item at no cost (Kingma et al., arXiv:1606.04934); 0 leaves the estimate as it is.
    """

    def __init__(self, *, free_bits: Annotated[float, Field(ge=0)] = 0.0) -> None:
        super().__init__()
        self.free_bits = free_bits

    def forward(self, log_posterior: Tensor, log_prior: Tensor) -> Tensor:
        """The divergence, a scalar, of the densities' logarithms (n,) or, of several draws of each item, (n, k).

        Raises:
            UserError: if the two differ in shape.
        """
        if log_posterior.shape != log_prior.shape:
            raise UserError(
                f"log_posterior {tuple(log_posterior.shape)} and log_prior {tuple(log_prior.shape)} differ in shape",
                hint="both hold a number for each item; 'inputs' says which outputs of the model they are",
            )
        divergence = (log_posterior - log_prior).mean()
        # Without free bits there is no floor: an estimate below zero has to pull the next one up.
        return divergence.clamp(min=self.free_bits) if self.free_bits else divergence


class AlignmentKL(Loss):
    """Symmetric divergence of an item's two diagonal Gaussian posteriors a and b, [KL(a || b) + KL(b || a)] / 2 =
    sum_d [sinh^2((logvar_a - logvar_b) / 2) + (mu_a - mu_b)^2 (exp(-logvar_a) + exp(-logvar_b)) / 4], mean over the
    batch, in nats: half of Jeffreys' divergence, Proc. R. Soc. A 186, 453 (1946).

    Args:
        reduction: over the latent's dimensions; the mean is taken over the batch either way.
    """

    def __init__(self, *, reduction: Reduction = "sum") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, mu_a: Tensor, logvar_a: Tensor, mu_b: Tensor, logvar_b: Tensor) -> Tensor:
        """The divergence, a scalar >= 0, of posteriors (n, ...).

        Raises:
            UserError: if they differ in shape.
        """
        if len({t.shape for t in (mu_a, logvar_a, mu_b, logvar_b)}) > 1:
            raise UserError(f"posteriors {tuple(mu_a.shape)} and {tuple(mu_b.shape)} differ in shape")
        precision = torch.exp(-logvar_a) + torch.exp(-logvar_b)
        per_dimension = torch.sinh(0.5 * (logvar_a - logvar_b)).square() + 0.25 * (mu_a - mu_b).square() * precision
        return over_dimensions(per_dimension, self.reduction).mean()


def over_dimensions(x: Tensor, reduction: Reduction) -> Tensor:
    """The sum or the mean (n,) of (n, ...) over all dimensions of each item."""
    rows = x.flatten(1)
    return rows.sum(1) if reduction == "sum" else rows.mean(1)
