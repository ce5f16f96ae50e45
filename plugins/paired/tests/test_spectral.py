from __future__ import annotations

import torch
from stem_paired.spectral import SpectralLinear
from torch import nn


def trained(layer: SpectralLinear, calls: int = 200) -> SpectralLinear:
    layer.train()
    for _ in range(calls):
        layer(torch.zeros(1, layer.weight.shape[1]))
    return layer


def test_the_largest_singular_value_becomes_one():
    torch.manual_seed(0)
    layer = trained(SpectralLinear(nn.Linear(12, 7))).eval()
    weight = layer(torch.eye(12)) - layer.bias
    torch.testing.assert_close(torch.linalg.svdvals(weight)[0], torch.tensor(1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(weight.T * torch.linalg.svdvals(layer.weight)[0], layer.weight, atol=1e-4, rtol=1e-4)


def test_the_vectors_follow_a_weight_that_changes():
    torch.manual_seed(0)
    layer = SpectralLinear(nn.Linear(12, 7))
    with torch.no_grad():
        layer.weight.copy_(torch.randn(7, 12) * 3.0)
    weight = trained(layer).eval()(torch.eye(12)) - layer.bias
    torch.testing.assert_close(torch.linalg.svdvals(weight)[0], torch.tensor(1.0), atol=1e-4, rtol=0)


def test_it_is_pytorchs_parametrisation():
    torch.manual_seed(0)
    linear, x = nn.Linear(6, 4), torch.randn(5, 6)
    reference = nn.Linear(6, 4)
    reference.load_state_dict(linear.state_dict())
    nn.utils.parametrizations.spectral_norm(reference)
    own = SpectralLinear(linear)
    for _ in range(100):
        own(x), reference(x)
    for layer in (own, reference):
        layer.eval()(x).square().sum().backward()
    torch.testing.assert_close(own(x), reference(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own.weight.grad, reference.parametrizations.weight.original.grad, atol=1e-4, rtol=1e-3)


def test_two_calls_before_one_backward():
    layer = SpectralLinear(nn.Linear(4, 3)).train()
    (layer(torch.randn(2, 4)) + layer(torch.randn(2, 4))).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_vectors_rest_in_use_and_are_part_of_the_state():
    layer = SpectralLinear(nn.Linear(4, 3)).eval()
    before = {n: t.clone() for n, t in layer.state_dict().items()}
    layer(torch.randn(2, 4))
    assert set(before) == {"weight", "bias", "left", "right"}
    assert all(torch.equal(t, before[n]) for n, t in layer.state_dict().items())
