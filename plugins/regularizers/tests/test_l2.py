from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_regularizers.l2 import L2, weights
from torch import nn

from stemcore import UserError


class ChannelNorm2d(nn.Module):
    """As other packages write them: no subclass of a norm of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))


class Whitening(nn.BatchNorm2d):
    """A norm of torch by another name."""


class Pattern(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3)
        self.norms = nn.ModuleList(
            [
                Whitening(8),
                nn.BatchNorm2d(8),
                nn.GroupNorm(2, 8),
                nn.LayerNorm(8),
                nn.InstanceNorm2d(8, affine=True),
                ChannelNorm2d(),
            ]
        )
        self.attention = nn.MultiheadAttention(8, 2)
        self.recurrent = nn.LSTM(8, 4)
        self.token = nn.Parameter(torch.randn(3))


def names(model: nn.Module) -> set[str]:
    by_id = {id(p): name for name, p in model.named_parameters()}
    return {by_id[id(p)] for p in weights(model)}


def test_weights_are_neither_biases_nor_norms():
    assert names(Pattern()) == {
        "stem.weight",
        "token",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
    }


def test_formula():
    model = Pattern()
    expected = sum(
        (p.detach().double().numpy() ** 2).sum() for name, p in model.named_parameters() if name in names(model)
    )
    value = L2()(model)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    value.backward()
    np.testing.assert_allclose(model.stem.weight.grad, 2 * model.stem.weight.detach())
    assert model.stem.bias.grad is None
    assert model.norms[0].weight.grad is None


def test_gradient():
    model = nn.Linear(3, 2).double()
    weight = model.weight.detach().clone().requires_grad_()

    def cost(w: torch.Tensor) -> torch.Tensor:
        del model.weight
        model.weight = nn.Parameter(w.detach())
        value = L2()(model)
        (slope,) = torch.autograd.grad(value, model.weight)
        return value.detach() + ((w - w.detach()) * slope).sum()

    assert torch.autograd.gradcheck(cost, weight)


def test_a_shared_weight_counts_once_and_a_frozen_one_not_at_all():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    assert L2()(model).item() == pytest.approx(model[0].weight.square().sum().item())


def test_modules_may_be_replaced_between_steps():
    model, loss = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), L2()
    loss(model)
    model[0] = nn.Linear(4, 2)
    assert loss(model).item() == pytest.approx(model[0].weight.square().sum().item())
    nn.utils.parametrizations.weight_norm(model[0])
    model[0].bias = nn.Parameter(torch.zeros(2))
    assert names(model) == {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"}


def test_a_parametrized_bias_stays_a_bias():
    model = nn.Linear(4, 2)
    nn.utils.parametrize.register_parametrization(model, "bias", nn.Tanh())
    assert names(model) == {"weight"}


def test_a_model_without_weights_costs_nothing():
    assert L2()(nn.BatchNorm1d(4)) == 0


def test_of_the_latent(latent):
    value = L2(target="latent")(nn.Linear(2, 2), torch.from_numpy(latent).float())
    assert value.item() == pytest.approx((latent**2).mean(), rel=1e-5)
    z = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: L2(target="latent")(nn.Identity(), x), z)


def test_a_latent_that_is_not_there():
    with pytest.raises(UserError, match="needs a 'latent', which Linear does not provide"):
        L2(target="latent")(nn.Linear(2, 2))
