from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_regularizers.lp import LpActivation

EXPONENTS = [0.01, 0.5, 1.0, 1.5, 2.0, 4.0]


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_formula(items, p, reduction):
    over_d = getattr(np.abs(items) ** p, reduction)(axis=1)
    value = LpActivation(p=p, reduction=reduction)(torch.from_numpy(items).float())
    assert value.item() == pytest.approx(over_d.mean(), rel=1e-5)


@pytest.mark.parametrize("p", EXPONENTS)
def test_gradient_of_a_latent_without_zeros(p):
    z = torch.randn(5, 4, dtype=torch.float64).clamp(min=0.2).requires_grad_()
    assert torch.autograd.gradcheck(LpActivation(p=p), z)


@pytest.mark.parametrize("p", EXPONENTS)
def test_a_latent_of_exactly_zero_costs_exactly_zero(p):
    """The original returned 0.5 here."""
    z = torch.zeros(8, 32, requires_grad=True)
    value = LpActivation(p=p)(z)
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_finite_however_small_the_latent(p, dtype):
    info = torch.finfo(dtype)
    z = torch.tensor([[0.0, -0.0, info.tiny, -info.smallest_normal / 4, 1e-20, -1.0]], dtype=dtype, requires_grad=True)
    value = LpActivation(p=p)(z)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(z.grad).all()
    assert z.grad[0, -1] == pytest.approx(-p)


def test_a_convolutional_latent_counts_each_value():
    z = torch.randn(6, 4, 3, 3)
    assert LpActivation()(z).item() == pytest.approx(z.abs().sum().item() / 6, rel=1e-5)


def test_the_batch_size_does_not_matter():
    z = torch.rand(1, 32)
    assert LpActivation()(z.repeat(9, 1)).item() == pytest.approx(LpActivation()(z).item(), rel=1e-5)
