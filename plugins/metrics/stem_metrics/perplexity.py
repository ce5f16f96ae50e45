"""How much of a codebook is in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from stem_metrics.features import from_two, in_two
from stemcore import SummedMetric, UserError, wide

BITS = 24
"""Of a code's number: float32 holds whole numbers of that size."""


class CodebookPerplexity(SummedMetric):
    """Perplexity of the codes that quantised latents are made of, exp(-sum_c p_c log p_c) with the share p_c of each
    code over the data set: the number of codes in use if they were used equally often, from 1 to the codebook's size.
    Of several codes for each item, each has a codebook of its own, and the mean over these is reported. ``used`` is
    the share of each codebook that occurs at all.

    Args:
        size: entries of a codebook; without it as many as the largest number that occurs says.
        shared: whether all codes of an item are from one codebook, as those of the places of an image are.
    """

    counts: list[Tensor]

    def __init__(self, *, size: Annotated[int, Field(ge=1)] | None = None, shared: bool = False) -> None:
        super().__init__()
        self.size = size
        self.shared = shared
        self.add_state("counts", [], dist_reduce_fx="cat")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """The perplexity, and the share of the codebook that is used."""
        return {"": "max", "used": "max"}

    def update(self, codes: Tensor) -> None:
        """Takes in a batch: ``codes`` (n,) or (n, heads, ...), whole numbers from 0.

        Raises:
            UserError: if they are no numbers of a codebook of that size.
        """
        if codes.is_floating_point() or codes.dtype == torch.bool:
            raise UserError(f"perplexity counts whole numbers, the codes of latents, not {codes.dtype}")
        if not codes.numel():
            return
        low, high = int(codes.min()), int(codes.max())
        if low < 0 or high >= (self.size or 1 << BITS):
            wrong = low if low < 0 else high
            raise UserError(
                f"there is a code {wrong}, which no codebook of {self.size or 1 << BITS} entries has",
                hint="'size' is that of the model's codebook",
            )
        rows = codes.reshape(-1, 1) if self.shared else codes.reshape(len(codes), -1)
        head = torch.arange(rows.shape[1], device=codes.device).expand_as(rows).flatten()
        seen = Counts(head, rows.flatten().long(), wide(torch.ones_like(head)))
        self.counts = [packed(added(self._counts(), seen))]

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares, means over codebooks; NaN before any code."""
        head, code, times = self._counts()
        if not len(head):
            return dict.fromkeys(self.reports(), times.new_full((), torch.nan))
        share = times / _by_head(times, head)[head]
        entropy = _by_head(-torch.xlogy(share, share), head)
        used = _by_head(torch.ones_like(times), head) / (self.size or code.max() + 1)
        return {"": entropy.exp().mean(), "used": used.mean()}

    def _counts(self) -> Counts:
        flat = (
            self.counts
            if isinstance(self.counts, Tensor)
            else torch.cat([*self.counts, torch.zeros(0, device=self.device)])
        )
        return added(unpacked(flat))


class Counts(NamedTuple):
    """How often codes occur: codebook, code and number of times, (rows,) each."""

    head: Tensor
    code: Tensor
    times: Tensor


def added(*parts: Counts) -> Counts:
    """Counts with one row for each code."""
    head, code, times = (torch.cat(column) for column in zip(*parts, strict=True))
    key, row = torch.unique((head << BITS) + code, return_inverse=True)
    total = times.new_zeros(len(key)).index_add(0, row, times)
    return Counts(key >> BITS, key & ((1 << BITS) - 1), total)


def packed(counts: Counts) -> Tensor:
    """Counts as one row of float32: torchmetrics fills that of a process that saw nothing up with such."""
    return torch.stack([counts.head.float(), counts.code.float(), *in_two(counts.times)], 1).flatten()


def unpacked(flat: Tensor) -> Counts:
    """What ``packed`` took, one row after another."""
    table = flat.reshape(-1, 4)
    return Counts(table[:, 0].long(), table[:, 1].long(), from_two(table[:, 2:]))


def _by_head(values: Tensor, head: Tensor) -> Tensor:
    return values.new_zeros(int(head.max()) + 1).index_add(0, head, values)
