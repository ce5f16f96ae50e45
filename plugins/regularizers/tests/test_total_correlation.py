from __future__ import annotations

import math

import pytest
import torch
from stem_regularizers import total_correlation
from stem_regularizers.total_correlation import TotalCorrelation

from stemcore import UserError


def gaussian(correlation: float, n: int = 2000, logvar: float = -3.0) -> tuple[torch.Tensor, ...]:
    """Latents of items whose means are correlated normals of two dimensions, and the posteriors."""
    generator = torch.Generator().manual_seed(0)
    free = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    means = torch.stack([free[:, 0], correlation * free[:, 0] + math.sqrt(1 - correlation**2) * free[:, 1]], 1)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return means + math.exp(logvar / 2) * noise, means, torch.full_like(means, logvar)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_closed_form_of_correlated_normals(correlation):
    variance = 1 + math.exp(-3.0)
    expected = -0.5 * math.log(1 - (correlation / variance) ** 2)
    # A mixture has its items' own posteriors in it, which makes the estimate too high: by 0.01 to 0.02 for 2000 items.
    assert TotalCorrelation()(*gaussian(correlation)).item() == pytest.approx(expected, abs=0.03)


def test_the_size_of_the_data_set_adds_a_constant():
    given = [t[:12].requires_grad_() for t in gaussian(0.5)]
    of_batch, of_data = TotalCorrelation(), TotalCorrelation(dataset_size=278)
    assert of_data(*given).item() == pytest.approx(of_batch(*given).item() + math.log(278), rel=1e-12)
    for one, other in zip(*(torch.autograd.grad(loss(*given), given) for loss in (of_batch, of_data)), strict=True):
        assert torch.allclose(one, other, rtol=1e-12)


def test_a_few_items_at_a_time_give_what_all_give(monkeypatch):
    given = [t[:50].requires_grad_() for t in gaussian(0.5)]
    whole = TotalCorrelation()(*given)
    monkeypatch.setattr(total_correlation, "CELLS", 700)
    parts = TotalCorrelation()(*given)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-12)
    for one, other in zip(*(torch.autograd.grad(value, given) for value in (whole, parts)), strict=True):
        assert torch.allclose(one, other, rtol=1e-10)


def test_one_item_alone_costs_nothing():
    z, mu, logvar = (t[:1].requires_grad_() for t in gaussian(0.5))
    value = TotalCorrelation()(z, mu, logvar)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert z.grad.abs().max() < 1e-12


def test_gradient():
    given = tuple(t[:4].requires_grad_() for t in gaussian(0.5, logvar=-0.3))
    assert torch.autograd.gradcheck(TotalCorrelation(dataset_size=100), given)


def test_posteriors_that_do_not_fit_are_refused():
    z = torch.zeros(4, 3)
    with pytest.raises(UserError, match=r"latents \(4, 3\) .*\(4, 2\)"):
        TotalCorrelation()(z, z[:, :2], z[:, :2])
