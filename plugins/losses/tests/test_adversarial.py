from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_losses.adversarial import AdversarialCritic, AdversarialGenerator
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

MODES = ("nonsaturating", "hinge", "least_squares")
every = pytest.mark.parametrize("mode", MODES)


def scores(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(2 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))


def test_the_nonsaturating_one_is_a_cross_entropy():
    real, fake = scores(40)
    expected = cross_entropy(real, torch.ones_like(real)) + cross_entropy(fake, torch.zeros_like(fake))
    assert AdversarialCritic()(real, fake).item() == pytest.approx(expected.item(), rel=1e-12)
    assert AdversarialGenerator()(fake).item() == pytest.approx(cross_entropy(fake, torch.ones_like(fake)).item())


def test_hinge_and_least_squares_by_numpy():
    real, fake = scores(6, 3, 3)
    r, f = real.numpy(), fake.numpy()
    hinge = np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()
    squares = 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean()
    assert AdversarialCritic(mode="hinge")(real, fake).item() == pytest.approx(hinge)
    assert AdversarialCritic(mode="least_squares")(real, fake).item() == pytest.approx(squares)
    assert AdversarialGenerator(mode="hinge")(fake).item() == pytest.approx(-f.mean())
    assert AdversarialGenerator(mode="least_squares")(fake).item() == pytest.approx(0.5 * ((f - 1) ** 2).mean())


@every
def test_the_two_sides_pull_apart(mode):
    real, fake = (torch.zeros(3, requires_grad=True) for _ in range(2))
    of_real, of_fake = torch.autograd.grad(AdversarialCritic(mode=mode)(real, fake + 0.5), (real, fake))
    (of_generator,) = torch.autograd.grad(AdversarialGenerator(mode=mode)(fake + 0.5), fake)
    assert (of_real < 0).all()
    assert (of_fake > 0).all()
    assert (of_generator < 0).all()


@every
def test_gradient(mode):
    real, fake = (s.requires_grad_() for s in scores(5))
    assert torch.autograd.gradcheck(AdversarialCritic(mode=mode), (real, fake))
    assert torch.autograd.gradcheck(AdversarialGenerator(mode=mode), fake)


@every
def test_a_critic_that_is_sure_gives_finite_losses(mode):
    real, fake = (torch.full((4,), value, requires_grad=True) for value in (1e4, -1e4))
    for value in (AdversarialCritic(mode=mode)(real, fake), AdversarialGenerator(mode=mode)(fake)):
        (slope,) = torch.autograd.grad(value, fake, retain_graph=True)
        assert value.isfinite()
        assert slope.isfinite().all()
    if mode == "nonsaturating":
        assert (slope == -0.25).all()
