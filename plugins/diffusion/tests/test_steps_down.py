from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from stem_diffusion.schedules import NoiseSchedule, betas
from stem_diffusion.steps_down import LEAST, stepper, steps_down

from plugins.diffusion.tests.diffusion_mixture import (
    DEVIATIONS,
    MEANS,
    SHARES,
    ExactDiffusion,
    drawn,
    energy_distance,
    shares_of,
)

SAMPLERS = ("ddpm", "ddim", "dpm++")
N = 3000


@pytest.mark.parametrize("schedule", ["linear", "cosine", "quadratic", "sigmoid", "exponential"])
@pytest.mark.parametrize("steps", [None, 1, 7, 30, 50, 499, 2000])
@pytest.mark.parametrize("least", [0.0, LEAST])
def test_timesteps_run_downwards(schedule: str, steps: int | None, least: float) -> None:
    abar = NoiseSchedule(schedule, 500).abar
    down = steps_down(abar, steps, least)
    assert least or down[0] == 499
    assert abar[down[0]] >= least**2 * (1 - abar[down[0]])
    assert all(a > b for a, b in itertools.pairwise(down))
    assert 0 <= down[-1] <= down[0] <= 499
    assert steps is None or len(down) == min(steps, down[0] + 1)
    assert abar[down[0]] < 1e-3


def mixture(name: str, steps: int | None, seed: int = 0, **settings: object) -> np.ndarray:
    torch.manual_seed(seed)
    return ExactDiffusion(sampler=name, steps=steps, **settings).sample(N).double().numpy()


@pytest.mark.parametrize(
    ("name", "steps", "prediction", "eta"),
    [
        ("ddpm", None, "epsilon", 0.0),
        ("ddim", 100, "epsilon", 0.0),
        ("ddim", 77, "v", 0.5),
        ("dpm++", 25, "x0", 0.0),
    ],
)
def test_samples_are_those_of_the_mixture(name: str, steps: int | None, prediction: str, eta: float) -> None:
    samples = mixture(name, steps, prediction=prediction, eta=eta)
    shares = shares_of(samples)
    wrong = N * ((shares - SHARES.numpy()) ** 2 / SHARES.numpy()).sum()
    assert wrong < 13.8, f"chi-square with 2 degrees of freedom, p < 0.001: {shares}"
    nearest = ((samples[:, None] - MEANS.numpy()) ** 2).sum(-1).argmin(1)
    for k in range(3):
        mode, deviation = samples[nearest == k], float(DEVIATIONS[k])
        np.testing.assert_allclose(mode.mean(0), MEANS[k], atol=0.2 * deviation)
        np.testing.assert_allclose(np.cov(mode.T), deviation**2 * np.eye(2), atol=0.2 * deviation**2)


def test_samplers_agree_in_distribution() -> None:
    samples = {name: mixture(name, 100, seed=k)[:1500] for k, name in enumerate(SAMPLERS)}
    rng = np.random.default_rng(0)
    truth = drawn(3000)
    chance = max(energy_distance(*np.split(rng.permutation(truth), 2)) for _ in range(30))
    wrong = drawn(1500, seed=1) * [1.1, 1.0]
    assert energy_distance(wrong, truth[:1500]) > chance  # so much would be noticed
    for a, b in (("ddpm", "ddim"), ("ddpm", "dpm++"), ("ddim", "dpm++")):
        assert energy_distance(samples[a], samples[b]) < 1.5 * chance


def test_guidance_moves_samples_to_their_class() -> None:
    label = torch.arange(600) % 3

    def right(guidance: float) -> float:
        torch.manual_seed(0)
        model = ExactDiffusion(steps=40, guidance=guidance, conditions=["label"])
        samples = model.sample(600, label=label)
        return float((torch.cdist(samples, MEANS).argmin(1) == label).float().mean())

    assert right(0.0) < 0.5
    assert right(1.0) > 0.98


def test_guidance_is_the_weighted_difference() -> None:
    model, xt, t = ExactDiffusion(guidance=2.5, conditions=["label"]), torch.randn(9, 2), torch.full((9,), 200)
    given, yes = {"label": torch.arange(9) % 3}, torch.ones(9, dtype=torch.bool)
    told, untold = model.estimated(xt, t, given, yes), model.estimated(xt, t, given, ~yes)
    x0 = model.schedule.clean("epsilon", untold + 2.5 * (told - untold), xt, t)
    torch.testing.assert_close(model.seen(xt, t, given), x0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_one_step_is_that_of_diffusers(name: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    schedule = NoiseSchedule("linear", 500)
    settings = {"trained_betas": betas("linear", 500), "prediction_type": "sample", "clip_sample": False}
    kind = diffusers.DDPMScheduler if name == "ddpm" else diffusers.DDIMScheduler
    theirs = kind(500, timestep_spacing="trailing", **settings)
    theirs.set_timesteps(50)
    down = steps_down(schedule.abar, 50)
    assert theirs.timesteps.tolist() == down
    rng = torch.Generator().manual_seed(0)
    x, x0 = (torch.randn(5, 3, generator=rng) for _ in range(2))
    ours = stepper(name, schedule.abar, down, 0.0, lambda: torch.randn(5, 3, generator=rng.manual_seed(1)))
    for k, t in enumerate(down):
        step = theirs.step(x0, t, x, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(ours(k, x, x0), step.prev_sample, rtol=1e-4, atol=1e-5)


def test_clipping_bounds_what_is_seen_on_the_way() -> None:
    torch.manual_seed(0)
    assert ExactDiffusion(steps=20, clip_denoised=0.5).sample(50).abs().max() <= 0.5
