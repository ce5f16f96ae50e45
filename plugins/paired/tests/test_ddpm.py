"""Denoising diffusion against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_paired.ddpm import Diffusion, Schedule, betas, step_embedding
from torch import Tensor

MEAN = np.array([1.5, -0.5])
COVARIANCE = np.array([[1.2, 0.6], [0.6, 0.7]])


@pytest.fixture(params=["linear", "cosine"])
def schedule(request: pytest.FixtureRequest) -> Schedule:
    return request.param


@pytest.fixture
def diffusion(schedule: Schedule) -> Diffusion:
    return Diffusion(schedule, 100)


@pytest.mark.parametrize("steps", [100, 1000])
def test_schedules_are_those_of_the_papers(steps: int) -> None:
    linear = np.linspace(1e-4, 0.02, steps) * 1000 / steps
    np.testing.assert_allclose(betas("linear", steps), linear, rtol=1e-12)
    at = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    abar = at / at[0]
    found = np.cumprod(1 - betas("cosine", steps).numpy())
    np.testing.assert_allclose(found[:-1], abar[1:-1], rtol=1e-9)  # the last is cut to a variance of 0.999
    assert betas("cosine", steps)[-1] == 0.999


@pytest.mark.parametrize("steps", [2, 10, 100])
def test_with_any_number_of_steps_items_end_as_noise(schedule: Schedule, steps: int) -> None:
    variances = betas(schedule, steps)
    assert variances.shape == (steps,)
    assert bool((variances > 0).all())
    assert float(variances.max()) <= 0.999
    assert float((1 - variances).prod()) < 1.1e-3


def test_many_small_steps_make_the_one_that_noised_takes(diffusion: Diffusion, schedule: Schedule) -> None:
    """x(t+1) = sqrt(1 - beta) x(t) + sqrt(beta) noise, its mean and variance carried on by hand."""
    x0 = torch.tensor([[2.0]])
    mean, variance = 2.0, 0.0
    for step, beta in enumerate(betas(schedule, 100).tolist()):
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        t = torch.tensor([step])
        assert float(diffusion.noised(x0, t, torch.zeros(1, 1))) == pytest.approx(mean, rel=1e-4, abs=1e-6)
        spread = diffusion.noised(torch.zeros(1, 1), t, torch.ones(1, 1))
        assert float(spread) == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_the_posterior_is_that_of_bayes(diffusion: Diffusion, schedule: Schedule) -> None:
    """p(x(t-1) | x0) p(xt | x(t-1)) as a product of two normal densities, in float64."""
    x0, xt = 0.7, -1.1
    betas64 = betas(schedule, 100).numpy()
    abar = np.cumprod(1 - betas64)
    for step in (1, 40, 90, 99):
        beta, before = betas64[step], abar[step - 1]
        precision = 1 / (1 - before) + (1 - beta) / beta
        mean = (np.sqrt(before) * x0 / (1 - before) + np.sqrt(1 - beta) * xt / beta) / precision
        found = diffusion.posterior_mean(torch.tensor([[x0]]), torch.tensor([[xt]]), torch.tensor([step]))
        assert float(found) == pytest.approx(mean, rel=1e-5)


def test_clean_undoes_noised_for_every_item_at_its_own_step(diffusion: Diffusion) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(50, 3, generator=generator) for _ in range(2))
    t = torch.arange(50)
    torch.testing.assert_close(diffusion.clean(diffusion.noised(x0, t, noise), t, noise), x0, rtol=1e-3, atol=1e-4)
    ahead = diffusion.ddim(diffusion.noised(x0, t, noise), t, noise)
    torch.testing.assert_close(ahead[1:], diffusion.noised(x0[1:], t[1:] - 1, noise[1:]), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ahead[0], x0[0], rtol=1e-4, atol=1e-5)


class Optimal:
    """The best prediction of the noise in items of a known normal distribution, E[noise | xt], and the steps asked."""

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.diffusion, self.betas, self.asked = Diffusion(schedule, steps), betas(schedule, steps).numpy(), []

    def matrix(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        abar = np.prod(1 - self.betas[: step + 1])
        spread = abar * COVARIANCE + (1 - abar) * np.eye(2)
        return np.sqrt(1 - abar) * np.linalg.inv(spread), np.sqrt(abar) * MEAN

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        assert not t.is_floating_point()
        assert bool((t == t[0]).all())
        self.asked.append(int(t[0]))
        matrix, centre = (torch.from_numpy(v).float() for v in self.matrix(int(t[0])))
        return (x - centre) @ matrix.T


def propagated(predictor: Optimal, *, deterministic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of what the sampler gives: each step is affine, so they follow without drawing."""
    beta = predictor.betas
    abar = np.cumprod(1 - beta)
    mean, covariance = np.zeros(2), np.eye(2)
    for step in reversed(range(len(beta))):
        before = abar[step - 1] if step else 1.0
        matrix, centre = predictor.matrix(step)
        if deterministic:
            keep = np.sqrt(before / abar[step])
            slope = np.sqrt(1 - before) - keep * np.sqrt(1 - abar[step])
            added = 0.0
        else:
            keep = 1 / np.sqrt(1 - beta[step])
            slope = -keep * beta[step] / np.sqrt(1 - abar[step])
            added = beta[step] if step else 0.0
        update = keep * np.eye(2) + slope * matrix
        mean = update @ mean - slope * matrix @ centre
        covariance = update @ covariance @ update.T + added * np.eye(2)
    return mean, covariance


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_known_normal_distribution_is_recovered(schedule: Schedule, deterministic: bool) -> None:
    """Draws have the mean and covariance that the sampler must give, and these are those of the distribution."""
    predictor = Optimal(schedule, 100)
    mean, covariance = propagated(predictor, deterministic=deterministic)
    np.testing.assert_allclose(mean, MEAN, atol=0.02)
    np.testing.assert_allclose(covariance, COVARIANCE, atol=0.05)  # exact in the limit of many steps
    torch.manual_seed(0)
    items = 40_000
    draws = predictor.diffusion.sample(predictor, torch.randn(items, 2), deterministic=deterministic).double().numpy()
    error = 4 * np.sqrt(1.2 / items)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=error)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=2 * error)


def test_steps_run_downwards_each_once() -> None:
    predictor = Optimal("linear", 30)
    predictor.diffusion.sample(predictor, torch.randn(3, 2))
    assert predictor.asked == list(range(29, -1, -1))


def test_the_last_step_adds_no_noise(diffusion: Diffusion) -> None:
    xt, noise = torch.randn(2, 5, 3).unbind()
    t = torch.zeros(5, dtype=torch.int64)
    found = diffusion.denoised(xt, t, noise, fresh=torch.full((5, 3), 1e6))
    torch.testing.assert_close(found, diffusion.clean(xt, t, noise))


def test_steps_stay_whole_numbers_under_bf16() -> None:
    """256, 257 and 999 are three steps; in bfloat16 they would be two, and 1000."""
    t = torch.tensor([256, 257, 999, 1000])
    with torch.autocast("cpu", torch.bfloat16):
        found = step_embedding(t, 8)
    assert found.dtype == torch.float32
    frequencies = 1e4 ** (-np.arange(4) / 4)
    angles = t.numpy()[:, None] * frequencies
    np.testing.assert_allclose(found, np.concatenate([np.sin(angles), np.cos(angles)], axis=1), atol=1e-3)
    assert len({tuple(row) for row in found.tolist()}) == 4
