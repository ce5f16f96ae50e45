"""Features drawn by diffusion, given latents."""

from __future__ import annotations

import numpy as np
import torch
from stem_paired.ddpm import Diffusion, betas
from stem_paired.diffusion_decoder import DiffusionDecoder, spread_noise
from torch.nn import functional

STYLE = {"activation": "silu", "dropout": 0.0, "batch_norm": False, "residual": True}


def decoder(features: int = 2, draws: int = 4, steps: int = 50) -> DiffusionDecoder:
    torch.manual_seed(0)
    diffusion = Diffusion("cosine", steps)
    return DiffusionDecoder(features, 1, diffusion, draws, [48, 48], time_dim=16, **STYLE)


def test_a_trained_decoder_draws_from_the_distribution_given_the_latents() -> None:
    """x = (z, 1 - z) + noise of a known covariance, for a z of each item."""
    module = decoder().train()
    mixing = torch.tensor([[0.5, 0.0], [0.3, 0.4]])
    optimizer = torch.optim.Adam(module.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        z = torch.randint(0, 2, (128, 1)) * 2.0 - 1
        x = torch.cat([z, 1 - z], dim=1) + torch.randn(128, 2) @ mixing.T
        xt, t, noise = module.noised(x)
        optimizer.zero_grad()
        functional.mse_loss(module(xt, t, z), noise).backward()
        optimizer.step()
        schedule.step()
    module.eval()
    with torch.no_grad():
        for z, mean in ((-1.0, [-1.0, 2.0]), (1.0, [1.0, 0.0])):
            draws = module.sample(torch.full((4000, 1), z))
            np.testing.assert_allclose(draws.mean(dim=0), mean, atol=0.1)
            np.testing.assert_allclose(np.cov(draws.T), mixing @ mixing.T, atol=0.06)


def test_in_training_steps_and_noise_are_random_and_cover_everything() -> None:
    module = decoder(steps=10).train()
    x = torch.full((600, 2), 3.0)
    xt, t, noise = module.noised(x)
    assert t.dtype == torch.int64
    counts = torch.bincount(t.flatten(), minlength=10)
    assert counts.shape == (10,)
    assert float((counts / t.numel() - 0.1).abs().max()) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03
    abar = torch.cumprod(1 - betas("cosine", 10), 0)[t][..., None]
    torch.testing.assert_close(xt, (abar.sqrt() * 3.0 + (1 - abar).sqrt() * noise).float())
    assert not torch.equal(module.noised(x)[2], noise)


def test_in_use_every_item_meets_the_same_steps_and_noise() -> None:
    module = decoder(draws=4, steps=100).eval()
    xt, t, noise = module.noised(torch.randn(3, 2))
    assert t.tolist() == [[12, 37, 62, 87]] * 3
    assert torch.equal(noise[0], noise[2])
    assert torch.equal(module.noised(torch.randn(3, 2))[2], noise)
    assert not torch.equal(xt[0], xt[1])


def test_noise_that_is_the_same_every_time_looks_normal() -> None:
    noise = spread_noise(4, 400).double().numpy()
    assert np.isfinite(noise).all()
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.15
    assert abs(np.mean(noise**4) - 3) < 0.3


def test_each_draw_of_an_item_is_predicted_by_itself() -> None:
    module = decoder(features=3, draws=2).eval()
    x, z = torch.randn(5, 3), torch.randn(5, 1)
    xt, t, _ = module.noised(x)
    found = module(xt, t, z)
    torch.testing.assert_close(found[3, 1], module.predictor(xt[3:4, 1], t[3:4, 1], z[3:4])[0])
