"""The joint VAE whose prior is learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_paired.monte_carlo import MonteCarloVae
from stem_paired.posteriors import log_mixture
from stemcore import DataSpec


class JointVaeVampPrior(MonteCarloVae):
    """A joint VAE whose prior, for each platform, is the mean of its posteriors at learned pseudo-inputs.

    After Tomczak and Welling, VAE with a VampPrior (AISTATS 2018). Pseudo-inputs are parameters in the model's space,
    standard normal at first. Their posteriors are those that the encoder gives in use, with running statistics and
    without dropout, in training too: the prior of an item then depends neither on the batch nor on chance, is the
    same in evaluation, and leaves no trace in the statistics of the data. The divergence is that of
    ``log_posterior_a`` and ``log_prior_a``.

    Args:
        pseudo_inputs: for each platform.
    """

    def __init__(self, spec: DataSpec, *, pseudo_inputs: Annotated[int, Field(ge=1)] = 500, **rest: Any) -> None:
        super().__init__(spec, **rest)
        self.pseudo_inputs = nn.ParameterDict(
            {p: nn.Parameter(torch.randn(pseudo_inputs, n)) for p, n in self.widths.items()}
        )

    def log_prior(self, p: str, latents: Tensor) -> Tensor:
        """Under the mixture of posteriors at the pseudo-inputs of the platform."""
        with in_use(self.encoders[p]) as encoder:
            return log_mixture(latents, encoder(self.pseudo_inputs[p]))


@contextmanager
def in_use(module: nn.Module) -> Iterator[nn.Module]:
    """The module as it is in evaluation, with gradients; after it, as it was."""
    training = module.training
    try:
        yield module.eval()
    finally:
        module.train(training)
