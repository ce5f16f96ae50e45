"""The autoencoder that the original 4D-STEM pipeline trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stem_models.blocks import ConvBlock, TripleResidualBlock
from stem_models.images import autoencoder_outputs, image_shape
from stemcore import DataSpec, FieldSpec, Model

WIDTH = 128
NECK = 4  # the encoder ends in, and the decoder starts from, NECK x NECK pixels
FULL = 256  # where the decoder arrives after three upsamplings by 4


class QuarterPool(nn.Module):
    """Average pooling to a quarter of height and width, but not below 2 x 2, where a batch of one could not be
    normalised. Sizes that 4 does not divide are pooled over windows that differ by a pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, max(h // 4, 2), max(w // 4, 2))."""
        height, width = x.shape[-2:]
        if height % 4 == 0 and width % 4 == 0 and min(height, width) >= 8:
            return F.avg_pool2d(x, 4)
        return F.adaptive_avg_pool2d(x, (max(height // 4, 2), max(width // 4, 2)))


class ResnetAutoencoder(Model):
    """The original residual autoencoder: full-resolution convolutions of 128 channels, a neck of 16 values.

    Its encoder squeezes a pattern through 4 x 4 values before the latent layer, so a latent wider than 16 adds nothing,
    and it costs about 100 times ``conv_autoencoder``: it is there to repeat earlier work. Latents are not negative.
    Made for square patterns of 256 pixels; others of at least 4 x 4 work, their reconstruction is resized at the end.

    Args:
        latent_dim: width of the latent.

    Raises:
        UserError: if patterns are smaller than 4 x 4.
    """

    def __init__(self, spec: DataSpec, *, latent_dim: Annotated[int, Field(ge=1)] = 128) -> None:
        super().__init__(spec)
        channels, self.height, self.width = image_shape(spec, NECK)
        self.latent_dim = latent_dim
        stages = [(TripleResidualBlock(WIDTH), ConvBlock(WIDTH, WIDTH), QuarterPool()) for _ in range(3)]
        self.encoder = nn.Sequential(
            ConvBlock(channels, 64),
            ConvBlock(64, WIDTH),
            *(layer for stage in stages for layer in stage),
            ConvBlock(WIDTH, 64),
            ConvBlock(64, 1),
            nn.AdaptiveAvgPool2d(NECK),
            nn.Flatten(),
            nn.Linear(NECK * NECK, latent_dim),
            nn.ReLU(),
        )
        grow = [
            (nn.Upsample(scale_factor=4, mode="bilinear"), TripleResidualBlock(WIDTH), ConvBlock(WIDTH, WIDTH))
            for _ in range(3)
        ]
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, WIDTH * NECK * NECK),
            nn.Unflatten(1, (WIDTH, NECK, NECK)),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            *(layer for stage in grow for layer in stage),
            nn.Conv2d(WIDTH, channels, 3, padding=1),
        )

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction``, like the input, and ``latent`` (latent_dim,)."""
        return autoencoder_outputs(self.spec, self.latent_dim)

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Patterns (n, c, h, w) to ``prediction`` (n, c, h, w) and ``latent`` (n, latent_dim)."""
        latent: Tensor = self.encoder(input)
        return {**self.decode(latent), "latent": latent}

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents (n, latent_dim), by the encoder alone."""
        latent: Tensor = self.encoder(fields["input"])
        return latent

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """Latents (n, latent_dim) to ``prediction`` (n, c, h, w)."""
        prediction: Tensor = self.decoder(latent)
        if (self.height, self.width) != (FULL, FULL):
            prediction = F.interpolate(prediction, (self.height, self.width), mode="bilinear", align_corners=False)
        return {"prediction": prediction}
