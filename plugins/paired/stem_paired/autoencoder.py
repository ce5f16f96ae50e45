"""What models of two platforms that share latents have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_paired.blocks import Activation, Decoder
from stem_paired.platforms import OTHER, PLATFORMS, known, platform_of, widths_of
from stemcore import DataSpec, FieldSpec, Model, UserError


class Draw(NamedTuple):
    """What decoders are given.

    Attributes:
        latents: (n, latent_dim).
        base: the values (n, latent_dim) of the Gaussian posterior that they come from.
        log_det: the logarithm of the volume by which the way from base to latents expands, (n,); ``None`` where they
            are the same.
    """

    latents: Tensor
    base: Tensor
    log_det: Tensor | None = None


Width = Annotated[int, Field(ge=1)]
Widths = list[Width]


class PairedAutoencoder(Model):
    """An encoder and a decoder for each platform, over one latent space.

    What an encoder makes of a platform is its code: the parameters of a distribution, or a vector. A code has a point,
    the latents that stand for it where nothing is to be random, and latents are sampled from it in training.

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
        self.encoders = nn.ModuleDict({p: self.encoder_of(n, encoder) for p, n in self.widths.items()})
        self.decoders = nn.ModuleDict(
            {p: Decoder(latent_dim, decoder, n, **self.style) for p, n in self.widths.items()}
        )

    @abstractmethod
    def encoder_of(self, features: int, widths: Widths) -> nn.Module:
        """The encoder of a platform of so many features, with hidden layers of these widths."""

    @abstractmethod
    def point(self, p: str, code: Any) -> Draw:
        """The latents that stand for the code of platform ``p`` where nothing is to be random."""

    @abstractmethod
    def sampled(self, p: str, code: Any) -> Draw:
        """Latents drawn from the code of platform ``p``."""

    def provides(self) -> Mapping[str, FieldSpec]:
        """Latents, and the platforms decoded from those of either."""
        names = ["latent", *(f"latent_{p}" for p in PLATFORMS)]
        decoded = {f"{part}_{p}": p for part in ("recon", "cross") for p in PLATFORMS}
        return {n: FieldSpec(n, (self.latent_dim,)) for n in names} | {
            n: FieldSpec(n, (self.widths[p],), like=f"input_{p}") for n, p in decoded.items()
        }

    def forward(self, input_a: Tensor | None = None, input_b: Tensor | None = None) -> dict[str, Tensor]:
        """What can be had from the platforms given, (n, features) each."""
        codes = self.codes({"a": input_a, "b": input_b})
        draws = {p: self.sampled(p, code) if self.training else self.point(p, code) for p, code in codes.items()}
        outputs = {"latent": joint(self.points(codes, draws))}
        for p, draw in draws.items():
            outputs |= self.described(p, codes, draw) | self.decoded(p, draw.latents)
        return outputs

    def codes(self, fields: Mapping[str, Tensor | None]) -> dict[str, Any]:
        """The codes of the platforms that are there. Raises ``UserError`` if there is none."""
        return {p: self.encoders[p](x) for p, x in known(fields).items()}

    def points(self, codes: Mapping[str, Any], draws: Mapping[str, Draw]) -> Mapping[str, Draw]:
        """The points of all codes, which in evaluation are what was drawn."""
        return {p: self.point(p, code) for p, code in codes.items()} if self.training else draws

    def described(self, p: str, codes: Mapping[str, Any], draw: Draw) -> dict[str, Tensor]:
        """The outputs that tell of the code of platform ``p``, and of the latents drawn from it."""
        return {f"latent_{p}": draw.latents}

    def decoded(self, p: str, latents: Tensor) -> dict[str, Tensor]:
        """Both platforms from the latents of ``p``: itself, and the other."""
        other = OTHER[p]
        return {f"recon_{p}": self.decoders[p](latents), f"cross_{other}": self.decoders[other](latents)}

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """The platform that is missing, decoded from the point of the other's code, or from a draw.

        Raises:
            UserError: unless exactly one platform is given.
        """
        p = platform_of(fields)
        code = self.encoders[p](fields[f"input_{p}"])
        chosen = self.sampled(p, code) if draw else self.point(p, code)
        return {f"input_{OTHER[p]}": self.decoders[OTHER[p]](chosen.latents)}

    def reconstruct(self, **fields: Tensor) -> Tensor:
        """Refused: there are two platforms. Raises ``UserError``."""
        raise UserError(f"{type(self).__name__} has two platforms to reconstruct", hint="use stem impute")


def joint(points: Mapping[str, Draw]) -> Tensor:
    """One row of latents for each item: the mean over the platforms that are there."""
    return torch.stack([point.latents for point in points.values()]).mean(dim=0)
