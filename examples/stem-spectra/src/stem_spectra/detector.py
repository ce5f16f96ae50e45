"""The energy resolution of a silicon drift detector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MN_KA = 5.895
_FANO = 5.545 * 3.65e-3 * 0.115
"""8 ln 2 times the energy of an electron-hole pair in silicon times the Fano factor, in keV."""


def line_width(energy: Tensor, fwhm_mn: float) -> Tensor:
    """Standard deviation of a line at ``energy`` (keV) of a detector whose width at Mn K-alpha is ``fwhm_mn`` (eV, full
    width at half maximum).

    FWHM^2 = FWHM_Mn^2 + 5.545 * 3.65 eV * F * (E - E_Mn) with the Fano factor F = 0.115 (Fiori and Newbury,
    SEM 1978, I, 401).
    """
    square = (fwhm_mn / 1000) ** 2 + _FANO * (energy - _MN_KA)
    return square.clamp_min(1e-3**2).sqrt() / math.sqrt(8 * math.log(2))


def step_of(energy: Tensor) -> Tensor:
    """Width of the channels (n, 1) of energy axes (n, channels)."""
    return (energy[:, -1:] - energy[:, :1]) / (energy.shape[1] - 1)


def window(energy: Tensor, line: float, fwhm_mn: float, widths: float) -> Tensor:
    """The channels (n, channels), bool, of energy axes in keV within ``widths`` standard deviations of a line."""
    sigma = line_width(torch.as_tensor(line, dtype=energy.dtype, device=energy.device), fwhm_mn)
    return (energy - line).abs() <= widths * sigma
