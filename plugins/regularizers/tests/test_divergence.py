from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from stem_regularizers.divergence import Divergence

MODES = ["inverse_variance", "pairwise"]


def expected(z: np.ndarray, mode: str, eps: float = 1e-8) -> float:
    return float((1 / (z.var(0, ddof=1) + eps)).mean() if mode == "inverse_variance" else -pdist(z).mean())


@pytest.mark.parametrize("mode", MODES)
def test_formula(items, mode):
    value = Divergence(mode=mode)(torch.from_numpy(items).float())
    assert value.item() == pytest.approx(expected(items, mode), rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_one_step_on_the_term_alone_raises_the_mean_pairwise_distance(items, mode):
    """The original has the sign reversed: minimised, it draws items together."""
    z = torch.from_numpy(items.copy()).requires_grad_()
    optimizer = torch.optim.SGD([z], lr=0.1)
    Divergence(mode=mode)(z).backward()
    optimizer.step()
    assert pdist(z.detach().numpy()).mean() > pdist(items).mean() * (1 + 1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_one_step_through_an_encoder_raises_it_too(mode):
    torch.manual_seed(0)
    patterns = torch.rand(64, 256)
    encoder = torch.nn.Sequential(torch.nn.Linear(256, 64), torch.nn.Tanh(), torch.nn.Linear(64, 32))
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-6 if mode == "inverse_variance" else 1e-3)
    before = pdist(encoder(patterns).detach().numpy()).mean()
    Divergence(mode=mode)(encoder(patterns)).backward()
    optimizer.step()
    assert pdist(encoder(patterns).detach().numpy()).mean() > before


@pytest.mark.parametrize("mode", MODES)
def test_gradient(mode):
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(Divergence(mode=mode), z)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_is_zero_with_a_graph(mode, n):
    z = torch.ones(n, 8, requires_grad=True)
    value = Divergence(mode=mode)(z)
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


@pytest.mark.parametrize(("mode", "value"), [("inverse_variance", 1e8), ("pairwise", 0.0)])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_equal_items_are_finite_and_have_no_gradient(mode, value, level):
    z = torch.full((8, 4), level, requires_grad=True)
    cost = Divergence(mode=mode)(z)
    cost.backward()
    assert cost.item() == pytest.approx(value)
    assert (z.grad == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_two_equal_items_among_others(mode):
    z = torch.randn(30, 4, dtype=torch.float64)
    z[1] = z[0]
    z.requires_grad_()
    Divergence(mode=mode)(z).backward()
    assert torch.isfinite(z.grad).all()
    torch.testing.assert_close(z.grad[0], z.grad[1])


def test_eps_bounds_what_a_dead_unit_costs(latent):
    z = latent.copy()
    z[:, 3] = 0
    value = Divergence(eps=0.01)(torch.from_numpy(z))
    assert value.item() == pytest.approx(expected(z, "inverse_variance", eps=0.01))
    assert value < 100


def test_the_distances_of_close_items_are_kept_in_float32():
    """|a|^2 + |b|^2 - 2ab would round these to nothing."""
    z = 100 + 1e-3 * np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    value = Divergence(mode="pairwise")(torch.from_numpy(z.astype(np.float32)))
    assert value.item() == pytest.approx(-pdist(z.astype(np.float32).astype(np.float64)).mean(), rel=1e-4)
