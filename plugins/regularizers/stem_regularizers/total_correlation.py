"""Total correlation of latents."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss, UserError

LOG_2PI = math.log(2 * math.pi)
CELLS = 1 << 19
"""Densities computed at a time."""


class TotalCorrelation(Loss):
    """Total correlation KL(q(z) || prod_d q(z_d)) of latents, in nats: what their dimensions tell of each other, zero
    where they are independent.

    The distribution of latents q(z), a mixture of the posteriors of all items, is estimated from a batch of M by
    minibatch-weighted sampling, log q(z_i) = log sum_j q(z_i | x_j) - log(N M) for N items in all (Chen et al.,
    arXiv:1802.04942, appendix C.1), and each q(z_d) likewise; mean over the batch.

    Args:
        dataset_size: N, the number of items in the training data. Without it the batch stands for the data set, with
            log M in place of log(N M). The two differ by a constant, (D - 1) log N for latents of D dimensions: the
            gradient is the same, and without it a term of one item alone is zero.
    """

    def __init__(self, *, dataset_size: Annotated[int, Field(ge=1)] | None = None) -> None:
        super().__init__()
        self.dataset_size = dataset_size

    def forward(self, latent: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """The total correlation, a scalar, of latents (n, d) drawn from posteriors with ``mu`` and ``logvar`` (n, d).

        Raises:
            UserError: if they differ in shape.
        """
        if not latent.shape == mu.shape == logvar.shape:
            raise UserError(
                f"latents {tuple(latent.shape)} and their posteriors {tuple(mu.shape)}, {tuple(logvar.shape)}"
                " differ in shape",
                hint="'inputs' says which posterior they were drawn from",
            )
        z, mean, log_variance = (t.flatten(1) for t in (latent, mu, logvar))
        n, dims = z.shape
        # A few items at a time: temporaries that do not leave the processor's cache make it about four times as fast.
        some = max(1, CELLS // (n * dims))
        ratios = torch.cat([log_ratios(part, mean, log_variance) for part in z.split(some)])
        return ratios.mean() + (dims - 1) * (math.log(n) + math.log(self.dataset_size or 1))


def log_ratios(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log sum_j q(z | x_j) - sum_d log sum_j q(z_d | x_j) (k,) of latents (k, d), for posteriors (n, d)."""
    scaled = (z[:, None] - mu) * (math.sqrt(0.5) * torch.exp(-0.5 * logvar))
    density = torch.addcmul(-0.5 * (logvar + LOG_2PI), scaled, scaled, value=-1)
    return density.sum(2).logsumexp(1) - density.logsumexp(1).sum(1)
