"""A platform's features drawn by denoising diffusion, given latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stem_paired.blocks import Perceptron
from stem_paired.ddpm import Diffusion, step_embedding

GOLDEN = 0.6180339887498949


class NoisePredictor(nn.Module):
    """The noise in features at a step of diffusion: a residual perceptron of the features, the latents and the step.

    Args:
        features: values of an item.
        latent_dim: latent values.
        widths: of the hidden layers.
        time_dim: values in which a step is given; even.
        style: of the layers.
    """

    def __init__(self, features: int, latent_dim: int, widths: Sequence[int], time_dim: int, **style: object) -> None:
        super().__init__()
        self.time_dim = time_dim
        self.hidden = Perceptron(features + latent_dim + time_dim, widths, **style)
        self.noise = nn.Linear(self.hidden.outputs, features)

    def forward(self, xt: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """The noise in ``xt``, both (n, features), at the steps ``t`` (n,), integers, given z (n, latent_dim)."""
        given = [xt, z, step_embedding(t, self.time_dim)]
        dtype = torch.promote_types(xt.dtype, z.dtype)
        return self.noise(self.hidden(torch.cat([v.to(dtype) for v in given], dim=1)))


class DiffusionDecoder(nn.Module):
    """Features drawn from latents by denoising diffusion.

    Args:
        features: values of an item.
        latent_dim: latent values.
        diffusion: its schedule.
        draws: steps that each item is trained on at once.
        widths, time_dim, style: of the :class:`NoisePredictor`.
    """

    noise: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        diffusion: Diffusion,
        draws: int,
        widths: Sequence[int],
        *,
        time_dim: int,
        **style: object,
    ) -> None:
        super().__init__()
        self.features, self.draws, self.diffusion = features, draws, diffusion
        self.predictor = NoisePredictor(features, latent_dim, widths, time_dim, **style)
        self.register_buffer("noise", spread_noise(draws, features), persistent=False)

    def noised(self, x0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Items (n, features) at steps of the diffusion: at random ones in training; else at steps in the middle of
        equal parts of the diffusion, by the same noise for every item, so that a loss is the same every time.

        Returns:
            xt (n, draws, features), the steps (n, draws), the noise (n, draws, features).
        """
        n, steps = len(x0), self.diffusion.steps
        if self.training:
            t = torch.randint(steps, (n, self.draws), device=x0.device)
            noise = torch.randn(n, self.draws, self.features, device=x0.device)
        else:
            middles = (2 * torch.arange(self.draws, device=x0.device) + 1) * steps // (2 * self.draws)
            t = middles.expand(n, -1)
            noise = self.noise.expand(n, -1, -1)
        every = x0[:, None].expand(-1, self.draws, -1)
        xt = self.diffusion.noised(every.flatten(0, 1), t.flatten(), noise.flatten(0, 1))
        return xt.view_as(noise), t, noise

    def forward(self, xt: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """The noise (n, draws, features) seen in what :meth:`noised` gave, given z (n, latent_dim)."""
        every = z[:, None].expand(-1, self.draws, -1)
        return self.predictor(xt.flatten(0, 1), t.flatten(), every.flatten(0, 1)).view_as(xt)

    def sample(self, z: Tensor) -> Tensor:
        """Features (n, features) drawn given z (n, latent_dim)."""
        start = torch.randn(len(z), self.features, device=z.device)
        return self.diffusion.sample(lambda x, t: self.predictor(x, t, z).float(), start)


def spread_noise(draws: int, features: int) -> Tensor:
    """Noise (draws, features) that is the same every time: quantiles of a standard normal distribution at the places of
    Weyl sequences, multiples of irrational numbers modulo 1, which leave no gaps; one number for each draw, so that
    draws do not resemble each other."""
    roots = torch.arange(1, draws + 1, dtype=torch.float64) * GOLDEN % 1.0
    places = torch.arange(1, features + 1, dtype=torch.float64) * (roots[:, None] + 2**0.5) % 1.0
    return torch.special.ndtri(places).float()
