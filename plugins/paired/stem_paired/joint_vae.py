"""Two variational autoencoders, one for each platform, over one latent space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_paired.blocks import Activation, Decoder, Encoder, drawn
from stem_paired.platforms import OTHER, PLATFORMS, known, platform_of, widths_of
from stemcore import DataSpec, FieldSpec, Model, UserError

Width = Annotated[int, Field(ge=1)]
Widths = list[Width]


class JointVae(Model):
    """Variational autoencoders of two platforms, trained to decode each from the latents of either.

    Each platform has an encoder to a Gaussian posterior and a decoder. Latents are drawn in training; in evaluation
    they are the posterior means, so that what is imputed is the same every time. ``latent`` is the mean of the means of
    the platforms that are there.

    Outputs, for the platforms a and b: ``mu_a``, ``logvar_a``, ``latent_a`` (drawn), ``recon_a`` (a from the latents of
    a), ``cross_a`` (a from the latents of b), and ``latent``. Of one platform alone, those that can be had from it.

    Args:
        latent_dim: latent values.
        encoder: widths of the encoders' hidden layers.
        decoder: widths of the decoders' hidden layers.
        activation: of the hidden layers; leaky_relu has the slope 0.2.
        dropout: chance of a hidden value to be dropped in training.
        batch_norm: whether hidden layers are normalised over the batch.
        residual: whether hidden layers have shortcuts.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent_dim: Width = 128,
        encoder: Widths = [1024],  # noqa: B006 - read only
        decoder: Widths = [512],  # noqa: B006 - read only
        activation: Activation = "leaky_relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.15,
        batch_norm: bool = True,
        residual: bool = True,
    ) -> None:
        super().__init__(spec)
        self.latent_dim = latent_dim
        self.widths = widths_of(spec)
        self.style = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm, "residual": residual}
        self.encoders = nn.ModuleDict(
            {p: Encoder(n, encoder, latent_dim, **self.style) for p, n in self.widths.items()}
        )
        self.decoders = nn.ModuleDict(
            {p: Decoder(latent_dim, decoder, n, **self.style) for p, n in self.widths.items()}
        )

    def provides(self) -> Mapping[str, FieldSpec]:
        """Posteriors, latents, and the platforms decoded from either."""
        shape = (self.latent_dim,)
        names = ["latent", *(f"{part}_{p}" for part in ("mu", "logvar", "latent") for p in PLATFORMS)]
        decoded = {f"{part}_{p}": p for part in ("recon", "cross") for p in PLATFORMS}
        return {n: FieldSpec(n, shape) for n in names} | {
            n: FieldSpec(n, (self.widths[p],), like=f"input_{p}") for n, p in decoded.items()
        }

    def forward(self, input_a: Tensor | None = None, input_b: Tensor | None = None) -> dict[str, Tensor]:
        """What can be had from the platforms given, (n, features) each."""
        given = known({"a": input_a, "b": input_b})
        posteriors = {p: self.encoders[p](x) for p, x in given.items()}
        outputs = {"latent": torch.stack([mu for mu, _ in posteriors.values()]).mean(dim=0)}
        for p, (mu, logvar) in posteriors.items():
            z = self.draw(mu, logvar) if self.training else mu
            outputs |= {f"mu_{p}": mu, f"logvar_{p}": logvar, f"latent_{p}": z}
            outputs |= {f"recon_{p}": self.decoders[p](z), f"cross_{OTHER[p]}": self.decoders[OTHER[p]](z)}
        return outputs

    def draw(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Latents (n, latent_dim) drawn from a posterior."""
        return drawn(mu, logvar)

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """The platform that is missing, decoded from the posterior mean of the other, or from a draw.

        Raises:
            UserError: unless exactly one platform is given.
        """
        p = platform_of(fields)
        mu, logvar = self.encoders[p](fields[f"input_{p}"])
        z = self.draw(mu, logvar) if draw else mu
        return {f"input_{OTHER[p]}": self.decoders[OTHER[p]](z)}

    def reconstruct(self, **fields: Tensor) -> Tensor:
        """Refused: there are two platforms. Raises ``UserError``."""
        raise UserError(f"{type(self).__name__} has two platforms to reconstruct", hint="use stem impute")
