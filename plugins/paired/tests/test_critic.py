"""Critics, and decoders with noise."""

from __future__ import annotations

import torch
from stem_paired.critic import Critic, NoisyDecoder


def test_frozen_scores_are_the_same_and_reach_only_what_is_scored() -> None:
    torch.manual_seed(0)
    critic = Critic(5, [8, 4])
    x = torch.randn(6, 5, requires_grad=True)
    assert torch.equal(critic.frozen(x), critic(x))
    assert critic(x).shape == (6,)
    (wanted,) = torch.autograd.grad(critic(x).sum(), x)
    critic.frozen(x).sum().backward()
    assert torch.equal(x.grad, wanted)
    assert float(wanted.abs().min()) > 0
    assert all(p.grad is None for p in critic.parameters())
    critic(x.detach()).sum().backward()
    assert all(p.grad is not None for p in critic.parameters())


def test_noise_is_drawn_in_training_and_on_request() -> None:
    style = {"activation": "relu", "dropout": 0.0, "batch_norm": False, "residual": True}
    decoder = NoisyDecoder(3, 2, [8], 4, **style)
    z = torch.randn(5, 3)
    assert not torch.equal(decoder(z), decoder(z))
    decoder.eval()
    mean = decoder(z)
    assert torch.equal(mean, decoder(z))
    torch.testing.assert_close(mean, decoder.decoder(torch.cat([z, torch.zeros(5, 2)], dim=1)))
    assert not torch.equal(decoder(z, draw=True), mean)
