"""The detector's width, and counts of lines that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_spectra.detector import line_width
from stem_spectra.line_counts import net_counts
from stem_spectra.resolution import BeyondResolution

AXIS = torch.linspace(0.1, 10.32, 512, dtype=torch.float64)
ENERGY = AXIS.repeat(3, 1)


def test_the_width_is_that_of_the_data_sheet_at_manganese_and_less_below():
    fwhm = 1000 * line_width(torch.tensor([5.895, 0.277, 9.442]), 130.0) * np.sqrt(8 * np.log(2))
    assert fwhm[0].item() == pytest.approx(130.0, rel=1e-5)
    assert fwhm[1].item() == pytest.approx(np.sqrt(130.0**2 + 2.3275 * (277 - 5895)), rel=1e-3)
    assert fwhm[2] > 130


def test_net_counts_of_a_line_on_a_slope():
    sigma = line_width(torch.tensor(6.404, dtype=torch.float64), 130.0)
    line = torch.exp(-((AXIS - 6.404) ** 2) / (2 * sigma**2))
    line = line / line.sum()
    spectra = torch.stack([area * line + 0.4 - 0.02 * AXIS for area in (0.0, 10.0, 25.0)])[:, None]
    found = net_counts(spectra, ENERGY, 6.404, 130.0)
    # Two standard deviations to either side hold 95 % of a line; its tail beyond three lies in the flanks.
    assert found.numpy() == pytest.approx([0.0, 9.5, 23.8], abs=0.3)


def test_noise_costs_more_than_a_line():
    loss = BeyondResolution()
    sigma = line_width(torch.tensor(6.404, dtype=torch.float64), 130.0)
    line = torch.exp(-((AXIS - 6.404) ** 2) / (2 * sigma**2)).repeat(3, 1, 1)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 512)))
    noise = noise * (line.square().mean() / noise.square().mean()).sqrt()
    assert loss(noise, ENERGY) > 20 * loss(line, ENERGY) > 0
