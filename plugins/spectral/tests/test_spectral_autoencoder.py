from __future__ import annotations

from pathlib import Path

import h5py
import pytest
import torch
from stem_spectral.model_examples import cubes
from stem_spectral.spectral_autoencoder import SpectralAutoencoder

SCENE = Path(__file__).resolve().parents[3].parent / "shared/data/hyperspectral/jasper_ridge.h5"


def small(*extent, **config):
    torch.manual_seed(0)
    return SpectralAutoencoder(cubes(*(extent or (6, 5, 4))), **{"latent_dim": 3, "hidden": [8], **config}).double()


@pytest.fixture(scope="module")
def pixels():
    """Spectra of a real scene, (198, 1000) to learn from and (198, 2000) held out, and the mean of the former."""
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(SCENE) as file:
        spectra = torch.from_numpy(file["Cube/Images"][:]).flatten(1)
    order = torch.randperm(spectra.shape[1], generator=torch.Generator().manual_seed(0))
    train, held = spectra[:, order[2000:3000]], spectra[:, order[:2000]]
    return train, held, train.mean(1, keepdim=True)


def components(train, mean, count):
    """Principal components (198, count)."""
    return torch.linalg.svd((train - mean).double(), full_matrices=False)[0][:, :count]


def psnr(prediction, truth):
    return float(-10 * (prediction - truth).detach().square().mean().log10())


def test_a_linear_one_can_be_principal_components(pixels):
    train, held, mean = pixels
    basis = components(train, mean, 16)
    model = SpectralAutoencoder(cubes(198, 1, 2000), latent_dim=16, hidden=[]).double()
    with torch.no_grad():
        model.encoder.straight.weight[:] = basis.T[:, :, None, None]
        model.decoder.straight.weight[:] = basis[:, :, None, None]
    outputs = model((held - mean).double()[None, :, None])
    prediction = outputs["prediction"][0, :, 0] + mean
    torch.testing.assert_close(prediction, basis @ (basis.T @ (held - mean).double()) + mean)
    assert psnr(prediction, held) == pytest.approx(48.9, abs=0.3)
    assert outputs["latent"].shape == (1, 16, 1, 2000)
    # What it is trained for has no slope there.
    given = (train - mean).double()[None, :, None]
    loss = (model(given)["prediction"] - given).square().mean()
    slopes = torch.autograd.grad(loss, [model.encoder.straight.weight, model.decoder.straight.weight])
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-10


def test_a_curved_one_learns_what_as_many_components_cannot_tell(pixels):
    train, held, mean = pixels
    torch.manual_seed(0)
    model = SpectralAutoencoder(cubes(198, 1, 1), latent_dim=3, hidden=[32])
    given, unseen = ((x - mean).T[:, :, None, None] / 0.05 for x in (train, held))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=120, history_size=30, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (model(given)["prediction"] - given).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        prediction = model(unseen)["prediction"][:, :, 0, 0].T * 0.05 + mean
    basis = components(train, mean, 3).float()
    assert psnr(prediction, held) > psnr(basis @ (basis.T @ (held - mean)) + mean, held)


def test_it_starts_as_a_projection():
    model = small(6, 5, 4)
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    weight = model.encoder.straight.weight[:, :, 0, 0]
    torch.testing.assert_close(weight @ weight.T, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(model.encode(input=x), torch.einsum("lb,nbhw->nlhw", weight, x))


@pytest.mark.parametrize(("context", "reach"), [(1, 0), (3, 1), (5, 2)])
def test_a_latent_sees_its_neighbourhood(context, reach):
    model = small(6, 9, 9, context=context)
    torch.nn.init.normal_(model.encoder.straight.weight)
    x = torch.randn(1, 6, 9, 9, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(model(x)["latent"][0, :, 4, 4].sum(), x)
    rows, columns = torch.nonzero(seen[0].abs().sum(0), as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4 - reach, 4 + reach, 4 - reach, 4 + reach)


def test_pooled_latents_are_means_over_pixels():
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    pixels, mean = small(), small(pooling="mean")
    torch.testing.assert_close(mean.encode(input=x), pixels.encode(input=x).mean((2, 3)))
    torch.testing.assert_close(mean(x)["latent"], mean.encode(input=x))


def test_values_that_do_not_count_are_zeros():
    model, x = small(context=3), torch.randn(2, 6, 5, 4, dtype=torch.float64)
    mask = torch.rand_like(x) > 0.3
    spoilt, zeros = torch.where(mask, x, torch.nan), torch.where(mask, x, 0.0)
    torch.testing.assert_close(model(spoilt, mask)["prediction"], model(zeros)["prediction"])
    torch.testing.assert_close(model.encode(input=spoilt, mask=mask), model.encode(input=zeros))
    assert model(torch.randn(1, 6, 7, 3, dtype=torch.float64))["prediction"].shape == (1, 6, 7, 3)
