from __future__ import annotations

import pytest
import torch
from stem_regularizers.quantization import Codebook, Commitment

from stemcore import UserError


def quantized() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What an encoder gives, a codebook, and the nearest code of each item."""
    torch.manual_seed(0)
    encoded = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    codebook = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    return encoded, codebook, codebook[torch.cdist(encoded, codebook).argmin(1)]


def test_the_two_are_equal_and_pull_different_sides():
    encoded, codebook, codes = quantized()
    expected = ((codes - encoded) ** 2).mean()
    sides = {Commitment: (True, False), Codebook: (False, True)}
    for loss_class, reached in sides.items():
        value = loss_class()(encoded, codes)
        gradients = torch.autograd.grad(value, (encoded, codebook), allow_unused=True, retain_graph=True)
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)
        assert tuple(g is not None and bool(g.any()) for g in gradients) == reached


def test_the_codebook_moves_to_the_mean_of_what_chose_it():
    encoded, codebook, _ = quantized()
    chosen = torch.zeros(6, dtype=torch.long)
    for _ in range(200):
        (slope,) = torch.autograd.grad(Codebook()(encoded, codebook[chosen]), codebook)
        codebook = (codebook - slope).detach().requires_grad_()
    assert torch.allclose(codebook[0], encoded.mean(0), atol=1e-6)


@pytest.mark.parametrize("loss_class", [Commitment, Codebook])
def test_codes_that_do_not_fit_are_refused(loss_class):
    with pytest.raises(UserError, match=r"\(6, 3\) .*\(6, 1, 3\) differ in shape"):
        loss_class()(torch.zeros(6, 3), torch.zeros(6, 1, 3))
