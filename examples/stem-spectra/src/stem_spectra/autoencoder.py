"""The model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stemcore import DataSpec, FieldSpec, Model, UserError

Width = Annotated[int, Field(ge=1)]


class SpectrumAutoencoder(Model):
    """A convolutional autoencoder along the energy axis, of spectra (1, channels).

    Each stage halves the number of channels: convolution with stride 2, group normalisation, GELU. The decoder goes the
    same way back, by linear interpolation and convolution. Spectra of any length are padded and cropped.

    Args:
        latent_dim: width of the latent: somewhat more than there are phases.
        widths: feature channels of each stage.
        kernel: width of the convolutions, odd.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 6,
        widths: Annotated[Sequence[Width], Field(min_length=1, max_length=8)] = (16, 32, 32, 32),
        kernel: Annotated[int, Field(ge=3, le=31)] = 7,
    ) -> None:
        super().__init__(spec)
        shape = spec["input"].shape
        if len(shape) != 2 or shape[0] != 1 or shape[1] is None:
            raise UserError(f"it takes spectra (1, channels), these are {shape}")
        if kernel % 2 == 0:
            raise UserError(f"kernel should be odd, got {kernel}")
        self.channels, self.latent_dim = shape[1], latent_dim
        self.padded = -(-self.channels // 2 ** len(widths)) * 2 ** len(widths)
        self.short = self.padded // 2 ** len(widths)
        ins = (1, *widths[:-1])
        self.down = nn.Sequential(*(_stage(a, b, kernel, 2) for a, b in zip(ins, widths, strict=True)))
        self.to_latent = nn.Linear(widths[-1] * self.short, latent_dim)
        self.from_latent = nn.Linear(latent_dim, widths[-1] * self.short)
        outs = (*reversed(widths[:-1]), widths[0])
        self.up = nn.ModuleList(_stage(a, b, kernel, 1) for a, b in zip(reversed(widths), outs, strict=True))
        self.last = nn.Conv1d(widths[0], 1, kernel, padding=kernel // 2)

    def provides(self) -> Mapping[str, FieldSpec]:
        """A reconstruction like the input, and the latent."""
        return {
            "prediction": FieldSpec("prediction", (1, self.channels), like="input"),
            "latent": FieldSpec("latent", (self.latent_dim,)),
        }

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Latents and reconstructions of spectra (n, 1, channels)."""
        latent = self.to_latent(self.down(functional.pad(input, (0, self.padded - self.channels))).flatten(1))
        return {**self.decode(latent), "latent": latent}

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """Reconstructions from latents (n, latent_dim) alone."""
        x = self.from_latent(latent).unflatten(1, (-1, self.short))
        for stage in self.up:
            x = stage(functional.interpolate(x, scale_factor=2.0, mode="linear", align_corners=False))
        return {"prediction": self.last(x)[..., : self.channels]}


def _stage(ins: int, outs: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv1d(ins, outs, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(convolution, nn.GroupNorm(1, outs), nn.GELU())
