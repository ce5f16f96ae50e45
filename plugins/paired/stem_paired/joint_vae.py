"""Two variational autoencoders, one for each platform, over one latent space."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from stem_paired.autoencoder import Draw, PairedAutoencoder, Widths
from stem_paired.blocks import Encoder
from stem_paired.platforms import PLATFORMS
from stem_paired.posteriors import Gaussian
from stemcore import FieldSpec


class JointVae(PairedAutoencoder):
    """Variational autoencoders of two platforms, trained to decode each from the latents of either.

    Each platform has an encoder to a Gaussian posterior and a decoder. Latents are drawn in training; in evaluation
    they are the posterior means, so that what is imputed is the same every time. ``latent`` is the mean of the means of
    the platforms that are there.

    Outputs, for the platforms a and b: ``mu_a``, ``logvar_a``, ``latent_a`` (drawn), ``recon_a`` (a from the latents of
    a), ``cross_a`` (a from the latents of b), and ``latent``. Of one platform alone, those that can be had from it.
    """

    def encoder_of(self, features: int, widths: Widths) -> nn.Module:
        """To a Gaussian posterior."""
        return Encoder(features, widths, self.latent_dim, **self.style)

    def provides(self) -> Mapping[str, FieldSpec]:
        """Posteriors, latents, and the platforms decoded from those of either."""
        names = [f"{part}_{p}" for part in ("mu", "logvar") for p in PLATFORMS]
        return {**super().provides(), **{n: FieldSpec(n, (self.latent_dim,)) for n in names}}

    def point(self, p: str, code: Gaussian) -> Draw:
        """From the posterior mean."""
        return self.carried(p, code.mu)

    def sampled(self, p: str, code: Gaussian) -> Draw:
        """From a draw of the posterior."""
        return self.carried(p, code.drawn())

    def carried(self, p: str, base: Tensor) -> Draw:
        """The latents of values (..., latent_dim) of the posterior: the same, unless a variant changes them."""
        return Draw(base, base)

    def described(self, p: str, codes: Mapping[str, Gaussian], draw: Draw) -> dict[str, Tensor]:
        """The posterior as well."""
        mu, logvar = codes[p]
        return {**super().described(p, codes, draw), f"mu_{p}": mu, f"logvar_{p}": logvar}
