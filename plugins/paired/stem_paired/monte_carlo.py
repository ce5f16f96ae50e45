"""Joint VAEs whose divergence from the prior has no closed form, and is estimated from points of the posterior."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from stem_paired.autoencoder import Draw
from stem_paired.joint_vae import JointVae
from stem_paired.platforms import PLATFORMS
from stem_paired.posteriors import Gaussian, log_standard
from stemcore import FieldSpec


class MonteCarloVae(JointVae):
    """A joint VAE that gives the logarithms of posterior and prior density at its latents: the mean of their
    difference is the Kullback-Leibler divergence.

    In training they are those at the latents drawn. In evaluation, where nothing is random, they are the mean of those
    one standard deviation above and below the posterior mean, in all coordinates at once: for a Gaussian posterior and
    a standard normal prior that is the expectation itself.
    """

    def provides(self) -> Mapping[str, FieldSpec]:
        """The log densities as well, a number for each item."""
        names = [f"{part}_{p}" for part in ("log_posterior", "log_prior") for p in PLATFORMS]
        return {**super().provides(), **{n: FieldSpec(n, ()) for n in names}}

    def described(self, p: str, codes: Mapping[str, Gaussian], draw: Draw) -> dict[str, Tensor]:
        """The log densities as well."""
        if not self.training:
            above_below = draw.latents.new_tensor([1.0, -1.0])[:, None, None]
            points = self.carried(p, codes[p].at(above_below))
        else:
            points = draw
        posterior, prior = self.log_posterior(p, codes, points), self.log_prior(p, points.latents)
        if not self.training:
            posterior, prior = posterior.mean(dim=0), prior.mean(dim=0)
        return {**super().described(p, codes, draw), f"log_posterior_{p}": posterior, f"log_prior_{p}": prior}

    def log_posterior(self, p: str, codes: Mapping[str, Gaussian], points: Draw) -> Tensor:
        """The logarithm of the posterior density of platform ``p`` at points (..., n, latent_dim), as (..., n)."""
        density = codes[p].log_density(points.base)
        return density if points.log_det is None else density - points.log_det

    def log_prior(self, p: str, latents: Tensor) -> Tensor:
        """The logarithm of the prior density at latents (..., n, latent_dim), as (..., n)."""
        return log_standard(latents)
