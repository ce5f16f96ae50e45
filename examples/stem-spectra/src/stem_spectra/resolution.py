"""The loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from stem_spectra.detector import line_width, step_of
from stemcore import Loss


class BeyondResolution(Loss):
    """Structure of the reconstruction that is finer than the detector resolves, in counts.

    mean over items and channels of |s(E)^4 y''''(E)|, with fourth differences for the derivative and s the standard
    deviation of a line at that energy (Fiori and Newbury): every spectrum comes through the detector, so what changes
    within a fraction of s is noise. A line has some of it, too: the weight is to be small.

    Args:
        fwhm_mn: resolution of the detector at Mn K-alpha, full width at half maximum in eV.
        eps: smooths the corner of the absolute value, |d| becomes sqrt(d^2 + eps^2) - eps; in counts.
    """

    inputs: ClassVar[Mapping[str, str]] = {"prediction": "prediction@physical"}

    def __init__(
        self, *, fwhm_mn: Annotated[float, Field(gt=0)] = 130.0, eps: Annotated[float, Field(gt=0)] = 0.01
    ) -> None:
        super().__init__()
        self.fwhm_mn, self.eps = fwhm_mn, eps

    def forward(self, prediction: Tensor, energy: Tensor) -> Tensor:
        """The loss of spectra (n, 1, channels) with energies (n, channels) in keV; of five channels or more."""
        if prediction.shape[-1] < 5:
            return 0 * prediction.sum()
        change = prediction.diff(n=4, dim=-1)
        step = step_of(energy)
        # In channels; an axis that stands still has no resolution to go beyond.
        sigma = torch.where(step > 0, line_width(energy[:, 2:-2], self.fwhm_mn) / step.clamp_min(1e-6), 0.0)
        return ((change * sigma[:, None] ** 4).square() + self.eps**2).sqrt().sub(self.eps).mean()
