"""A critic of a platform's features, and the decoder that plays against it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from stem_paired.blocks import Decoder, Perceptron


class Critic(nn.Module):
    """Scores items, higher for those that look measured: a perceptron whose layers are not normalised over the batch,
    since a score has to be of one item.

    Args:
        features: values of an item.
        widths: of the hidden layers; their activation is leaky_relu with the slope 0.2.
    """

    def __init__(self, features: int, widths: Sequence[int]) -> None:
        super().__init__()
        style = {"activation": "leaky_relu", "dropout": 0.0, "batch_norm": False, "residual": False}
        self.hidden = Perceptron(features, widths, **style)
        self.score = nn.Linear(self.hidden.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, features) to scores (n,)."""
        return self.score(self.hidden(x))[:, 0]

    def frozen(self, x: Tensor) -> Tensor:
        """The same scores, whose gradient reaches ``x`` and not the critic."""
        fixed = {name: p.detach() for name, p in self.named_parameters()}
        return functional_call(self, fixed, (x,))


class NoisyDecoder(nn.Module):
    """A decoder of latents beside noise, which gives more than one answer for the same latents.

    Args:
        latent_dim: latent values.
        noise_dim: values of noise.
        widths: of the hidden layers.
        features: width that goes out.
        style: of the layers.
    """

    def __init__(self, latent_dim: int, noise_dim: int, widths: Sequence[int], features: int, **style: object) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.decoder = Decoder(latent_dim + noise_dim, widths, features, **style)

    def forward(self, z: Tensor, *, draw: bool | None = None) -> Tensor:
        """(n, latent_dim) to (n, features), with noise drawn (in training, if not said otherwise) or at its mean, 0."""
        draw = self.training if draw is None else draw
        noise = z.new_zeros(len(z), self.noise_dim)
        return self.decoder(torch.cat([z, torch.randn_like(noise) if draw else noise], dim=1))
