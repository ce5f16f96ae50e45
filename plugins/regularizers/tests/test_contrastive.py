from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.metrics.pairwise import cosine_similarity
from stem_regularizers.contrastive import Contrastive

MODES = ["infonce", "cosine", "margin"]


def expected(z: np.ndarray, mode: str, temperature: float = 0.1, margin: float = 0.5) -> float:
    cosine = cosine_similarity(z)
    if mode == "infonce":
        s = cosine / temperature
        return float(np.mean([-s[i, i] + logsumexp(s[i]) for i in range(len(z))]))
    pairs = cosine[np.triu_indices(len(z), 1)]
    return float(pairs.mean() if mode == "cosine" else np.maximum(pairs - margin, 0).mean())


@pytest.mark.parametrize("mode", MODES)
def test_formula(items, mode):
    assert np.linalg.norm(items, axis=1).min() > 0
    value = Contrastive(mode=mode)(torch.from_numpy(items).float())
    assert value.item() == pytest.approx(expected(items, mode), rel=1e-4, abs=1e-6)


def test_temperature_and_margin(latent):
    z = torch.from_numpy(latent)
    assert Contrastive(temperature=0.7)(z).item() == pytest.approx(expected(latent, "infonce", temperature=0.7))
    for margin in (-1.0, -0.2, 0.1):
        value = Contrastive(mode="margin", margin=margin)(z)
        assert value.item() == pytest.approx(expected(latent, "margin", margin=margin))


@pytest.mark.parametrize("mode", MODES)
def test_gradient(mode):
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    assert torch.autograd.gradcheck(Contrastive(mode=mode, margin=0.1), z)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_is_zero_with_a_graph(mode, n):
    z = torch.ones(n, 8, requires_grad=True)
    value = Contrastive(mode=mode)(z)
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_zero_vectors_have_no_direction_and_no_gradient(mode):
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    z[2], z[4] = 0, 1e-25
    z.requires_grad_()
    value = Contrastive(mode=mode, margin=-0.5)(z)
    value.backward()
    unit = z.detach().double().numpy()
    unit[[2, 4]] = 0
    assert value.item() == pytest.approx(expected(unit, mode, margin=-0.5), rel=1e-5)
    assert torch.isfinite(z.grad).all()
    assert (z.grad[[2, 4]] == 0).all()
    assert (z.grad[[0, 1, 3, 5]] != 0).any(1).all()


@pytest.mark.parametrize("mode", MODES)
def test_all_zero(mode):
    z = torch.zeros(5, 4, requires_grad=True)
    value = Contrastive(mode=mode)(z)
    value.backward()
    assert value.item() == pytest.approx(math.log(5) if mode == "infonce" else 0)
    assert (z.grad == 0).all()


@pytest.mark.parametrize(("mode", "value"), [("infonce", math.log(7)), ("cosine", 1.0), ("margin", 0.5)])
def test_equal_items_cost_the_most(mode, value):
    z = torch.randn(1, 16).repeat(7, 1).requires_grad_()
    cost = Contrastive(mode=mode)(z)
    cost.backward()
    assert cost.item() == pytest.approx(value, rel=1e-5)
    assert torch.isfinite(z.grad).all()


def test_orthogonal_items_are_beyond_the_margin():
    assert Contrastive(mode="margin")(torch.eye(8)) == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_step_lowers_the_mean_cosine(latent, mode):
    z = torch.from_numpy(latent).requires_grad_()
    Contrastive(mode=mode, margin=0.0)(z).backward()
    assert expected((z - 0.1 * z.grad).detach().numpy(), "cosine") < expected(latent, "cosine")


@pytest.mark.parametrize("mode", MODES)
def test_length_does_not_matter(latent, mode):
    z = torch.from_numpy(latent)
    lengths = torch.linspace(0.01, 100, 64, dtype=torch.float64)[:, None]
    assert Contrastive(mode=mode)(z * lengths).item() == pytest.approx(Contrastive(mode=mode)(z).item())
