"""The energy resolution of a silicon drift detector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FANO = 0.115
"""Fano factor of silicon."""
_MN_KA = 5.895
_PAIR = 5.545 * 3.65e-3
"""8 ln 2 times the energy of an electron-hole pair in silicon, in keV."""


def line_width(energy: Tensor, fwhm_mn: float, fano: float = FANO) -> Tensor:
    """Standard deviation of a line at ``energy`` (keV) of a detector whose width at Mn K-alpha is ``fwhm_mn`` (eV, full
    width at half maximum).

    FWHM^2 = FWHM_Mn^2 + 5.545 * 3.65 eV * F * (E - E_Mn) with the Fano factor F (Fiori and Newbury, SEM 1978, I, 401).
    With F = 0 the width is the same at every energy, as that of a spectrometer for EELS.
    """
    square = (fwhm_mn / 1000) ** 2 + _PAIR * fano * (energy - _MN_KA)
    # A detector this good would have no width at low energies: 1 eV is less than any has.
    least = min(1.0, fwhm_mn) / 1000
    return square.clamp_min(least**2).sqrt() / math.sqrt(8 * math.log(2))


def step_of(energy: Tensor) -> Tensor:
    """Width of the channels (n, 1) of energy axes (n, channels), evenly spaced."""
    return (energy[:, -1:] - energy[:, :1]).abs() / (energy.shape[1] - 1)


def window(energy: Tensor, line: float, fwhm_mn: float, widths: float) -> Tensor:
    """The channels (n, channels), bool, of energy axes in keV within ``widths`` standard deviations of a line."""
    sigma = line_width(torch.as_tensor(line, dtype=energy.dtype, device=energy.device), fwhm_mn)
    return (energy - line).abs() <= widths * sigma
