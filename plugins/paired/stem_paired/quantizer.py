"""Vector quantisation with one codebook for each group of latents."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stem_paired.posteriors import full_precision, single


class Quantized(NamedTuple):
    """Vectors and their nearest codes.

    Attributes:
        latents: the codes (n, dims), with gradients passed straight on to what was quantised.
        vectors: the codes (n, dims), with gradients to the codebook.
        codes: their numbers (n, groups), int64.
    """

    latents: Tensor
    vectors: Tensor
    codes: Tensor


class Quantizer(nn.Module):
    """Replaces each of ``groups`` equal parts of a vector by the nearest entry of that part's codebook (van den Oord,
    Vinyals and Kavukcuoglu 2017; several codebooks: Jegou, Douze and Schmid 2011).

    Args:
        groups: parts of a vector.
        codes: entries of each codebook.
        dims: values of a part.
        ema: whether an entry follows the mean of what it was chosen for (their appendix A.1), in training, and not
            gradients.
        decay: share of the past that an entry keeps at each step of ``ema``.
    """

    def __init__(self, groups: int, codes: int, dims: int, *, ema: bool, decay: float) -> None:
        super().__init__()
        self.decay = decay
        codebook = torch.randn(groups, codes, dims)
        self.codebook: Tensor
        self.counts: Tensor
        self.sums: Tensor
        self.ema = ema
        if ema:
            self.register_buffer("codebook", codebook)
            self.register_buffer("counts", torch.ones(groups, codes))
            self.register_buffer("sums", codebook.clone())
        else:
            self.codebook = nn.Parameter(codebook)

    def forward(self, x: Tensor) -> Quantized:
        """The nearest codes of (n, groups x dims)."""
        x = single(x)
        parts = x.reshape(len(x), len(self.codebook), -1).transpose(0, 1)
        codes = self.nearest(parts.detach())
        chosen = torch.gather(self.codebook, 1, codes[..., None].expand(-1, -1, parts.shape[-1]))
        vectors = chosen.transpose(0, 1).flatten(1)
        if self.ema and self.training:
            self.follow(parts.detach(), codes)
        return Quantized(x + (vectors - x).detach(), vectors, codes.T)

    def nearest(self, parts: Tensor) -> Tensor:
        """The numbers (groups, n) of the entries with the least squared distance to (groups, n, dims)."""
        with full_precision(parts):
            book = self.codebook.detach()
            products = parts @ book.transpose(1, 2)
            return (book.square().sum(dim=-1)[:, None] - 2.0 * products).argmin(dim=-1)

    @torch.no_grad()
    def follow(self, parts: Tensor, codes: Tensor) -> None:
        """Moves every entry towards the mean of the parts (groups, n, dims) that it was chosen for."""
        with full_precision(parts):
            chosen = functional.one_hot(codes, self.codebook.shape[1]).to(self.sums.dtype)
            self.counts.lerp_(chosen.sum(dim=1), 1.0 - self.decay)
            self.sums.lerp_(chosen.transpose(1, 2) @ parts.to(self.sums.dtype), 1.0 - self.decay)
            self.codebook.copy_(self.sums / self.counts.clamp(min=TINY)[..., None])


TINY = 1e-5
