"""The joint VAE with planar flows and spectral normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from stem_paired.autoencoder import Draw
from stem_paired.blocks import Layer
from stem_paired.flows import PlanarFlows
from stem_paired.monte_carlo import MonteCarloVae
from stem_paired.platforms import PLATFORMS
from stem_paired.posteriors import Gaussian
from stem_paired.spectral import SpectralLinear
from stemcore import DataSpec, FieldSpec


class JointVaePlus(MonteCarloVae):
    """A joint VAE whose posteriors go through planar flows of their platform, so that they need not be Gaussian.

    ``latent_a`` is the flow's result, ``base_a`` what it started from, a draw of the Gaussian with ``mu_a`` and
    ``logvar_a``: a total correlation is that of ``base_a``. Imputation decodes the flow of the posterior mean. The
    divergence from the standard normal prior is that of ``log_posterior_a`` and ``log_prior_a``.

    Args:
        flows: planar flows behind each posterior; with none the posterior is Gaussian.
        spectral_norm: whether the weights of hidden layers have the largest singular value 1, which bounds how steep
            encoders and decoders are; their last layers, which set the scale of the results, are free.
    """

    def __init__(
        self, spec: DataSpec, *, flows: Annotated[int, Field(ge=0)] = 4, spectral_norm: bool = True, **rest: Any
    ) -> None:
        super().__init__(spec, **rest)
        self.flows = nn.ModuleDict({p: PlanarFlows(self.latent_dim, flows) for p in PLATFORMS})
        if spectral_norm:
            constrain(self)

    def provides(self) -> Mapping[str, FieldSpec]:
        """What the flows start from as well."""
        names = [f"base_{p}" for p in PLATFORMS]
        return {**super().provides(), **{n: FieldSpec(n, (self.latent_dim,)) for n in names}}

    def carried(self, p: str, base: Tensor) -> Draw:
        """Through the flows of the platform."""
        latents, log_det = self.flows[p](base)
        return Draw(latents, base, log_det)

    def described(self, p: str, codes: Mapping[str, Gaussian], draw: Draw) -> dict[str, Tensor]:
        """What the flows start from as well."""
        return {**super().described(p, codes, draw), f"base_{p}": draw.base}


def constrain(model: nn.Module) -> None:
    """Gives the weights of every hidden layer, shortcuts included, a largest singular value of 1."""
    for layer in [m for m in model.modules() if isinstance(m, Layer)]:
        if isinstance(layer.linear, nn.Linear):
            layer.linear = SpectralLinear(layer.linear)
        if isinstance(layer.shortcut, nn.Linear):
            layer.shortcut = SpectralLinear(layer.shortcut)
