"""Autoencoder of the spectra of a cube, pixel by pixel."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_spectral.patches import cube_extent
from stemcore import DataSpec, FieldSpec, Model, UserError

Count = Annotated[int, Field(ge=1)]
Activation = Literal["linear", "silu", "gelu", "relu"]
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
}


class SpectralAutoencoder(Model):
    """Compresses the spectrum of every pixel to a few values and brings it back.

    Encoder and decoder are convolutions of one pixel: a latent says what a pixel consists of, as principal components
    do, but it may be a curved function of the spectrum. A straight path beside the layers starts as the only one, so
    that the network has to learn what a linear autoencoder lacks. With ``context`` the encoder looks at neighbours as
    well, which averages noise. Cubes of any size are taken.

    Outputs: ``prediction``, like the input, and ``latent``.

    Args:
        latent_dim: values for each pixel.
        hidden: widths of the encoder's hidden layers; the decoder mirrors them. Empty for a linear autoencoder, which
            spans the space of as many principal components.
        activation: between the layers.
        context: pixels along each side of the neighbourhood that the encoder sees; 1 for the pixel alone. Odd.
        pooling: what a latent is: pixels, (latent_dim, height, width), or mean, over the pixels, (latent_dim,).

    Raises:
        UserError: if the input is no cube of a fixed size.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent_dim: Count = 16,
        hidden: list[Count] = [128, 64],  # noqa: B006 - read only
        activation: Activation = "silu",
        context: Literal[1, 3, 5, 7] = 1,
        pooling: Literal["pixels", "mean"] = "pixels",
    ) -> None:
        super().__init__(spec)
        bands, self.height, self.width = cube_extent(spec)
        self.latent_dim, self.pooling = latent_dim, pooling
        self.encoder = Path([bands, *hidden, latent_dim], activation, context)
        self.decoder = Path([latent_dim, *reversed(hidden), bands], activation)

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction`` like the input, and ``latent``."""
        given = self.spec["input"]
        pixels = (self.height, self.width) if self.pooling == "pixels" else ()
        prediction = FieldSpec("prediction", given.shape, unit=given.unit, like="input")
        return {"prediction": prediction, "latent": FieldSpec("latent", (self.latent_dim, *pixels))}

    def forward(self, input: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Cubes (n, bands, height, width), and which values count, to ``prediction`` and ``latent``."""
        codes = self.encoder(input if mask is None else torch.where(mask, input, 0.0))
        return {"prediction": self.decoder(codes), "latent": self._pooled(codes)}

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents by the encoder alone."""
        cube, mask = fields["input"], fields.get("mask")
        return self._pooled(self.encoder(cube if mask is None else torch.where(mask, cube, 0.0)))

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """Latents (n, latent_dim, height, width) to ``prediction``. Raises ``UserError`` where they are means over the
        pixels, which do not tell one pixel from another."""
        if self.pooling != "pixels":
            raise UserError("latents that are means over the pixels cannot be decoded", hint="set pooling: pixels")
        return {"prediction": self.decoder(latent)}

    def _pooled(self, codes: Tensor) -> Tensor:
        return codes if self.pooling == "pixels" else codes.mean(dim=(2, 3))


class Path(nn.Module):
    """A linear map of each pixel plus, where there are hidden layers, a network that starts at zero.

    Args:
        widths: of the input, the hidden layers and the output.
        activation: between the layers.
        context: kernel of the first layers, in pixels.
    """

    def __init__(self, widths: Sequence[int], activation: Activation, context: int = 1) -> None:
        super().__init__()
        self.straight = _convolution(widths[0], widths[-1], context)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(itertools.pairwise(widths)):
            layers += [_convolution(before, after, context if i == 0 else 1), ACTIVATIONS[activation]()]
        self.bent = nn.Sequential(*layers[:-1]) if len(widths) > 2 else None
        if self.bent is not None:
            nn.init.zeros_(self.bent[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(n, widths[0], h, w) to (n, widths[-1], h, w)."""
        straight: Tensor = self.straight(x)
        return straight if self.bent is None else straight + self.bent(x)


def _convolution(before: int, after: int, context: int) -> nn.Conv2d:
    """One that starts with orthogonal rows at the pixel itself: a projection, as principal components are."""
    layer = nn.Conv2d(before, after, context, padding=context // 2, padding_mode="replicate")
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        centre = torch.empty(after, before)
        layer.weight[:, :, context // 2, context // 2] = nn.init.orthogonal_(centre)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
