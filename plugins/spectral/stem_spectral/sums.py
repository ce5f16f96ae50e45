"""Scores that add up over a data set: as single sums, and as sums of each band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from stemcore import SummedMetric, UserError, wide

Direction = Literal["min", "max"]


class BandSums(SummedMetric):
    """A score of the sums of each band over a data set: of all bands together, of the median and of the worst band, and
    of those that are named.

    Args:
        bands: bands (from 0) whose scores are reported too, as ``band_7``.
    """

    direction: ClassVar[Direction]
    size: Tensor
    parts: list[Tensor]

    def __init__(self, *, bands: Sequence[int] | None = None) -> None:
        super().__init__()
        self.bands = list(dict.fromkeys(bands or ()))
        # How many bands there are is known at the first update only, and a process may never see one: a list that is
        # concatenated takes both. torchmetrics fills a missing one up with float32, so that is how sums travel.
        self.add_state("size", torch.zeros((), dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("parts", [], dist_reduce_fx="cat")

    def reports(self) -> Mapping[str, Direction | None]:
        """The score of all bands together, of the median and the worst band, and of the bands that are named."""
        names = ["", "band_median", "band_worst", *(f"band_{k}" for k in self.bands)]
        return dict.fromkeys(names, self.direction)

    def add(self, totals: Tensor, counts: Tensor) -> None:
        """Adds the totals and counts of each band, (bands,).

        Raises:
            UserError: if the data have no such band, or another number of bands than before.
        """
        number = len(totals)
        beyond = [str(k) for k in self.bands if k >= number]
        if beyond:
            raise UserError(f"the data have no band {', '.join(beyond)}", hint=f"bands are 0 to {number - 1}")
        if int(self.size) not in (0, number):
            raise UserError(f"cubes of {number} bands came after cubes of {int(self.size)}")
        rows = torch.stack([wide(totals), wide(counts)])
        if self.parts:
            rows = rows + self._sums()
        self.size = torch.full_like(self.size, number)
        upper = rows.float()
        self.parts = [torch.stack([upper, (rows - upper).float()]).flatten()]

    def _sums(self) -> Tensor:
        """Totals and counts of each band, (2, bands)."""
        flat = self.parts if isinstance(self.parts, Tensor) else torch.cat(self.parts)
        return wide(flat).reshape(-1, 2, 2, int(self.size)).sum((0, 1))

    def score(self, total: Tensor, count: Tensor) -> Tensor:
        """The score of sums of any shape; NaN where nothing counts."""
        return total / count

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares; NaN of no band. Bands of which no value counts have no part in median
        and worst."""
        nothing = self.size.new_full((), torch.nan, dtype=torch.float32)
        if not int(self.size):
            return dict.fromkeys(self.reports(), nothing)
        totals, counts = self._sums()
        every = self.score(totals, counts)
        ordered = every[counts > 0].sort(descending=self.direction == "max").values
        found = {"": self.score(totals.sum(), counts.sum()), "band_median": nothing, "band_worst": nothing}
        if len(ordered):
            middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
            broken = ordered.isnan().any()
            found["band_median"] = torch.where(broken, torch.nan, middle)
            found["band_worst"] = torch.where(broken, torch.nan, ordered[-1])
        return found | {f"band_{k}": every[k] for k in self.bands}
