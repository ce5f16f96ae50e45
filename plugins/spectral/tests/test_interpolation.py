from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_spectral.interpolation import NUGGET
from stem_spectral.mae_spectral import MaeSpectral
from stem_spectral.model_examples import cubes

from stemcore import UserError

LENGTH = 5.0


def untrained(*extent, **config):
    """A model that adds nothing to the interpolation yet."""
    torch.manual_seed(0)
    sizes = {"embed_dim": 12, "depth": 1, "heads": 3, "decoder_dim": 8, "decoder_depth": 1, "decoder_heads": 2}
    kriging = {"residual": "kriging", "correlation_length": LENGTH, "masking": "tube", "mask_ratio": 0.5}
    return MaeSpectral(cubes(*extent), **{"patch": [4, 3, 4], **sizes, **kriging, **config}).eval()


def expected(cube, hidden):
    """Ordinary kriging of hidden pixels (height, width), by its system of equations with a Lagrange multiplier."""
    known, wanted = np.argwhere(~hidden), np.argwhere(hidden)

    def correlation(a, b):
        return np.exp(-np.sqrt(np.square(a[:, None] - b[None]).sum(-1)) / LENGTH)

    n = len(known)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = correlation(known, known) + NUGGET * np.eye(n)
    system[n, n] = 0
    right = np.vstack([correlation(known, wanted), np.ones(len(wanted))])
    weights = np.linalg.solve(system, right)[:n]
    assert np.allclose(weights.sum(0), 1)
    return cube[:, ~hidden] @ weights


@pytest.mark.parametrize("extent", [(8, 12, 16), (6, 10, 14)], ids=["full patches", "patches that are not full"])
def test_an_untrained_model_is_kriging(extent):
    model = untrained(*extent)
    x = torch.randn(2, *extent, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = model(x, index=torch.arange(2))
    assert not torch.equal(outputs["hidden"][0], outputs["hidden"][1])
    for cube, found, hidden in zip(x, outputs["prediction"], outputs["hidden"], strict=True):
        assert (hidden == hidden[0]).all()
        assert hidden[0].any()
        where = hidden[0].numpy()
        np.testing.assert_allclose(found.numpy()[:, where], expected(cube.double().numpy(), where), atol=2e-5)


def test_what_is_hidden_does_not_show():
    model = untrained(8, 12, 16)
    x = torch.randn(1, 8, 12, 16)
    with torch.no_grad():
        first = model(x)
        second = model(torch.where(first["hidden"], 100.0, x))
    assert torch.equal(first["prediction"], second["prediction"])


def test_it_learns_what_to_add():
    model = untrained(8, 12, 16)
    model(torch.randn(2, 8, 12, 16))["prediction"].square().mean().backward()
    assert model.decoder.head.weight.grad.abs().max() > 0


def test_the_correlation_length_is_the_models():
    x = torch.randn(1, 8, 12, 16)
    near, far = untrained(8, 12, 16, correlation_length=1.0), untrained(8, 12, 16)
    assert not torch.allclose(near(x)["prediction"], far(x)["prediction"])


def test_patches_can_be_chosen():
    model = untrained(8, 12, 16)
    x = torch.randn(1, 8, 12, 16)
    shown = torch.arange(model.grid.tokens)[None, ::2]  # even columns, in both groups
    hidden = np.arange(16)[None, :].repeat(12, 0) // 4 % 2 == 1
    found = model.predict(x, shown)[0].detach().numpy()
    np.testing.assert_allclose(found[:, hidden], expected(x[0].double().numpy(), hidden), atol=2e-5)


def test_other_masking_is_refused():
    with pytest.raises(UserError, match="'kriging' goes with masking 'tube', not with 'random'"):
        untrained(8, 12, 16, masking="random")


def test_large_images_are_refused():
    with pytest.raises(UserError, match="too many of 201 x 200"), torch.device("meta"):
        untrained(8, 200, 200)
