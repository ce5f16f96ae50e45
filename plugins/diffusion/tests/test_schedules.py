from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from stem_diffusion.schedules import NoiseSchedule, betas

SCHEDULES = ("linear", "cosine", "quadratic", "sigmoid", "exponential")
PREDICTIONS = ("epsilon", "v", "x0")


def expected(schedule: str, steps: int) -> np.ndarray:
    """The variances by NumPy."""
    s, scale = np.linspace(0, 1, steps), 1000 / steps
    edges = np.arange(steps + 1) / steps
    if schedule == "linear":
        return scale * np.linspace(1e-4, 0.02, steps)
    if schedule == "quadratic":
        return scale * np.linspace(1e-4**0.5, 0.02**0.5, steps) ** 2
    if schedule == "sigmoid":
        return scale * ((0.02 - 1e-4) / (1 + np.exp(-(-6 + 12 * s))) + 1e-4)
    left = np.cos((edges + 0.008) / 1.008 * np.pi / 2) ** 2 if schedule == "cosine" else np.exp(-12 * edges)
    return np.minimum(1 - left[1:] / left[:-1], 0.999)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [100, 500, 1000])
def test_variances_are_those_of_the_closed_form(schedule: str, steps: int) -> None:
    found = np.array(betas(schedule, steps))
    np.testing.assert_allclose(found, expected(schedule, steps), rtol=1e-10)
    assert ((found > 0) & (found <= 0.999)).all()
    np.testing.assert_allclose(NoiseSchedule(schedule, steps).abar, np.cumprod(1 - found), rtol=1e-10)


@pytest.mark.parametrize(
    ("schedule", "theirs", "end"),
    [
        ("linear", "linear", 0.02),
        ("quadratic", "scaled_linear", 0.02),
        ("sigmoid", "sigmoid", 0.02),
        ("cosine", "squaredcos_cap_v2", 0.02),
    ],
)
def test_of_1000_steps_they_are_those_of_diffusers(schedule: str, theirs: str, end: float) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(1000, beta_start=1e-4, beta_end=end, beta_schedule=theirs)
    np.testing.assert_allclose(betas(schedule, 1000), scheduler.betas.numpy(), rtol=2e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_last_step_is_noise_and_the_first_an_item(schedule: str) -> None:
    abar = NoiseSchedule(schedule, 500).abar
    assert abar[-1] < 1e-3
    assert abar[0] > 0.97
    assert all(a > b for a, b in itertools.pairwise(abar))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_what_is_wanted_gives_back_the_item(prediction: str) -> None:
    rng, schedule = np.random.default_rng(0), NoiseSchedule("cosine", 50)
    x0, noise = (torch.from_numpy(rng.normal(size=(4, 2, 3))) for _ in range(2))
    t = torch.tensor([0, 7, 30, 45])
    a = np.array(schedule.abar)[t][:, None, None]
    xt = schedule.noised(x0, t, noise)
    np.testing.assert_allclose(xt, np.sqrt(a) * x0.numpy() + np.sqrt(1 - a) * noise.numpy(), rtol=1e-5, atol=1e-6)
    wanted = schedule.wanted(prediction, x0, t, noise)
    v = np.sqrt(a) * noise.numpy() - np.sqrt(1 - a) * x0.numpy()
    np.testing.assert_allclose(wanted, {"epsilon": noise, "x0": x0, "v": v}[prediction], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(schedule.clean(prediction, wanted, xt, t), x0, rtol=1e-4, atol=1e-4)


def test_min_snr_weighs_the_error_of_the_item_alike_in_every_parametrisation() -> None:
    schedule, gamma = NoiseSchedule("cosine", 40), 5.0
    t = torch.arange(40)
    a = np.array(schedule.abar)
    ratio = a / (1 - a)
    capped = np.minimum(ratio, gamma)
    by_hand = {"epsilon": capped / ratio, "v": capped / (ratio + 1), "x0": capped}
    # An error d of x0 is one of -item / spread d of the noise and of -1 / spread d of v.
    squared = {"epsilon": ratio, "v": 1 / (1 - a), "x0": np.ones(40)}
    for prediction in PREDICTIONS:
        weights = schedule.weight(prediction, t, gamma).numpy()
        np.testing.assert_allclose(weights, by_hand[prediction], rtol=1e-4)
        np.testing.assert_allclose(weights * squared[prediction], capped, rtol=1e-4)
        assert schedule.weight(prediction, t, None).eq(1).all()
    assert math.isclose(capped.max(), gamma)
