"""The metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_spectra.detector import window
from stemcore import Metric

LINES = {"Fe_Ka": 6.404, "Pt_La": 9.442}


def net_counts(spectra: Tensor, energy: Tensor, line: float, fwhm_mn: float) -> Tensor:
    """Counts of a line above its background (n,), by three windows.

    The sum over a window of 2 standard deviations to either side, less the mean of the flanks between 3 and 5 times as
    many (Goldstein et al., Scanning Electron Microscopy and X-Ray Microanalysis). ``spectra`` are (n, 1, channels).
    """
    peak = window(energy, line, fwhm_mn, 2.0)
    flanks = window(energy, line, fwhm_mn, 5.0) & ~window(energy, line, fwhm_mn, 3.0)
    counts = spectra[:, 0].double()
    background = torch.where(flanks, counts, 0.0).sum(dim=1) / flanks.sum(dim=1).clamp(min=1)
    return torch.where(peak, counts, 0.0).sum(dim=1) - peak.sum(dim=1) * background


class LineCounts(Metric):
    """Error of the net counts of X-ray lines: 0 is perfect, 1 as good as predicting none.

    Root mean square difference of the net counts of prediction and target, over the root mean square of those of the
    target, both over all items; of each line, and their mean over the lines. Name the noise-free counts as target where
    there are any: ``inputs: {target: expected}``.

    Args:
        lines: energies of the lines in keV by name; Fe K-alpha and Pt L-alpha by default.
        fwhm_mn: resolution of the detector at Mn K-alpha, full width at half maximum in eV.
    """

    def __init__(
        self,
        *,
        lines: Annotated[dict[str, float], Field(min_length=1)] = LINES,
        fwhm_mn: Annotated[float, Field(gt=0)] = 130.0,
    ) -> None:
        super().__init__()
        self.lines, self.fwhm_mn = dict(lines), fwhm_mn
        zeros = torch.zeros(len(self.lines), dtype=torch.float64)
        for name in ("apart", "squares"):
            self.add_state(name, zeros.clone(), dist_reduce_fx="sum")

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """The mean over the lines, and each of them; less is better."""
        return {"": "min", **dict.fromkeys(self.lines, "min")}

    def update(self, prediction: Tensor, target: Tensor, energy: Tensor) -> None:
        """Takes in spectra (n, 1, channels) with energies (n, channels) in keV."""
        for number, line in enumerate(self.lines.values()):
            found, true = (net_counts(s, energy, line, self.fwhm_mn) for s in (prediction, target))
            self.apart[number] += (found - true).square().sum().to(self.apart)
            self.squares[number] += true.square().sum().to(self.squares)

    def compute(self) -> dict[str, Tensor]:
        """The errors over everything that was taken in."""
        errors = (self.apart / self.squares).sqrt()
        return {"": errors.mean().float(), **{n: e.float() for n, e in zip(self.lines, errors, strict=True)}}
