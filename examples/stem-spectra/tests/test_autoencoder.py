"""The model, beyond the promises of every model."""

from __future__ import annotations

import pytest
import torch
from stem_spectra.autoencoder import SpectrumAutoencoder

from stemcore import DataSpec, FieldSpec, UserError


def spec(*shape: int | None) -> DataSpec:
    return DataSpec({"input": FieldSpec("input", shape)})


@pytest.mark.parametrize("channels", [5, 64, 83, 512, 1021])
def test_any_number_of_channels_comes_back(channels):
    model = SpectrumAutoencoder(spec(1, channels), latent_dim=3, widths=(4, 8, 8), kernel=5)
    found = model(torch.rand(2, 1, channels))
    assert found["prediction"].shape == (2, 1, channels)
    assert found["latent"].shape == (2, 3)


def test_the_latent_is_all_that_the_decoder_sees():
    model = SpectrumAutoencoder(spec(1, 64), latent_dim=2, widths=(4, 8)).double().eval()
    x = torch.rand(1, 1, 64, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: model(v)["prediction"].flatten(), x).reshape(64, 64)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) == 2


@pytest.mark.parametrize("shape", [(2, 64), (1, 8, 8), (1, None)])
def test_what_is_no_spectrum_is_refused(shape):
    with pytest.raises(UserError, match="it takes spectra"):
        SpectrumAutoencoder(spec(*shape))


def test_an_even_kernel_is_refused():
    with pytest.raises(UserError, match="kernel should be odd, got 4"):
        SpectrumAutoencoder(spec(1, 64), kernel=4)
