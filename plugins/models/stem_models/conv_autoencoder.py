"""The default autoencoder: strided, residual, light."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_models.blocks import Activation, Norm, PreactivationBlock, activation_of, norm_of
from stem_models.heads import decoder_neck, encoder_head
from stem_models.images import autoencoder_outputs, image_shape
from stemcore import DataSpec, FieldSpec, Model

Channels = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
LOGVAR_LIMITS = (-30.0, 20.0)  # exp() stays finite in every precision


class ConvAutoencoder(Model):
    """Strided residual encoder and decoder with a neck of ``latent_dim`` values.

    Each entry of ``channels`` is a stage that halves height and width (rounding up), so any size that is not smaller
    than ``2 ** len(channels)`` works, odd ones too. Training works with a batch of one unless ``norm`` is ``batch``.

    Args:
        latent_dim: width of the latent.
        channels: channels of the encoder's stages; the decoder mirrors them.
        blocks: residual blocks per stage, behind its strided convolution; 0 for none.
        head: how feature maps become a latent and back: linear (fully connected: every value of the maps has a weight
            for each latent) or conv (a 1x1 convolution to latent_dim maps, each then summed with its own weights over
            its pixels: far fewer parameters for large patterns).
        variational: whether the encoder gives a normal distribution (mu, logvar), from which latent is drawn in
            training; in evaluation latent is mu. Add the loss kl.
        norm: normalisation of the convolutions' outputs.
        activation: activation between convolutions.
        dropout: part of the feature values that are dropped before the neck in training.
        output: linear, or softplus for predictions that cannot be negative (without standardize).

    Raises:
        UserError: if the input is no image of a fixed size, or is too small for the number of stages.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 32,
        channels: Channels = [16, 32, 64, 128],  # noqa: B006 - never changed
        blocks: Annotated[int, Field(ge=0)] = 1,
        head: Literal["linear", "conv"] = "linear",
        variational: bool = False,
        norm: Norm = "group",
        activation: Activation = "silu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        output: Literal["linear", "softplus"] = "linear",
    ) -> None:
        super().__init__(spec)
        depth, height, width = image_shape(spec, 2 ** len(channels))
        self.latent_dim, self.variational = latent_dim, variational
        sizes = stage_sizes(height, width, len(channels))
        maps = (channels[-1], *sizes[-1])
        self.encoder = nn.Sequential(
            *_encoder(depth, channels, blocks, norm, activation),
            nn.Dropout(dropout),
            encoder_head(head, maps, latent_dim * (2 if variational else 1)),
        )
        self.decoder = nn.Sequential(
            decoder_neck(head, latent_dim, maps),
            *_decoder(depth, channels, sizes, blocks, norm, activation),
        )
        if output == "softplus":
            self.decoder.append(nn.Softplus())

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction``, like the input, ``latent`` (latent_dim,), and where variational ``mu`` and ``logvar``."""
        return autoencoder_outputs(self.spec, self.latent_dim, variational=self.variational)

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Patterns (n, c, h, w) to ``prediction`` (n, c, h, w) and ``latent`` (n, latent_dim)."""
        code = self.encoder(input)
        if not self.variational:
            return {"prediction": self.decoder(code), "latent": code}
        mu, logvar = code.chunk(2, dim=1)
        logvar = logvar.clamp(*LOGVAR_LIMITS)
        latent = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training else mu
        return {"prediction": self.decoder(latent), "latent": latent, "mu": mu, "logvar": logvar}

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents (n, latent_dim) by the encoder alone: the mean where variational, also in training."""
        code: Tensor = self.encoder(fields["input"])
        return code[:, : self.latent_dim]

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """Latents (n, latent_dim) to ``prediction`` (n, c, h, w)."""
        return {"prediction": self.decoder(latent)}


def stage_sizes(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Height and width before the first stage and after each one, halved and rounded up."""
    return [(math.ceil(height / 2**i), math.ceil(width / 2**i)) for i in range(stages + 1)]


class Upsample(nn.Module):
    """A transposed convolution that doubles height and width, cut to ``size`` where that is odd.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: height and width going out.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        # Kernel 4 at stride 2 covers every pixel equally often, so it leaves no checkerboard (Odena et al. 2016).
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        self.height, self.width = size

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, *size)."""
        out: Tensor = self.conv(x)
        return out[:, :, : self.height, : self.width]


def _encoder(depth: int, channels: Sequence[int], blocks: int, norm: Norm, activation: Activation) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in zip([depth, *channels], channels, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), norm_of(norm, after), activation_of(activation)]
        layers += [PreactivationBlock(after, norm, activation) for _ in range(blocks)]
    return layers


def _decoder(
    depth: int,
    channels: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    blocks: int,
    norm: Norm,
    activation: Activation,
) -> list[nn.Module]:
    layers: list[nn.Module] = [activation_of(activation)]
    # No convolutions at full resolution: they would cost more than all the others together.
    for i in range(len(channels) - 1, -1, -1):
        layers += [PreactivationBlock(channels[i], norm, activation) for _ in range(blocks)]
        if i > 0:
            layers.append(Upsample(channels[i], channels[i - 1], sizes[i]))
            layers += [norm_of(norm, channels[i - 1]), activation_of(activation)]
    last = Upsample(channels[0], depth, sizes[0])
    # Small weights: the first prediction is near 0, the mean of standardised data.
    nn.init.normal_(last.conv.weight, std=0.01)
    if last.conv.bias is not None:
        nn.init.zeros_(last.conv.bias)
    return [*layers, last]
