from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import xlogy
from scipy.stats import poisson
from stem_metrics.pattern import pixels
from stem_metrics.split_half import SplitHalf, thin

from stemcore import UserError

SCORES = ["deviance", "squared", "sqrt"]


class Space:
    """Preprocessing by the square root, as a run's transforms."""

    def forward(self, x):
        return x.sqrt()

    def inverse(self, y):
        return y.square()


class Denoiser(torch.nn.Module):
    """Anything that maps arrays of counts to arrays of rates; remembers what it saw and said."""

    def __init__(self, denoise):
        super().__init__()
        self.denoise = denoise

    def forward(self, input):
        self.saw = input.square().double()
        self.said = torch.from_numpy(np.asarray(self.denoise(self.saw.numpy()), dtype=float)).clamp(min=0)
        return {"prediction": self.said.sqrt().float()}

    def reconstruct(self, **fields):
        return self(**fields)["prediction"]


def blur(sigma):
    return Denoiser(lambda x: gaussian_filter(x, (0, 0, sigma, sigma)))


def principal(training, number):
    roots = np.sqrt(training.reshape(len(training), -1))
    mean = roots.mean(0)
    basis = np.linalg.svd(roots - mean, full_matrices=False)[2][:number]

    def denoise(x):
        rows = np.sqrt(x.reshape(len(x), -1)) - mean
        return ((mean + rows @ basis.T @ basis).clip(0) ** 2).reshape(x.shape)

    return Denoiser(denoise)


def true_error(score, prediction, rate, eps=1e-6):
    """Error of predictions of the whole dose, mean over pixels of each pattern."""
    if score == "squared":
        error = (prediction - rate) ** 2
    elif score == "sqrt":
        error = (np.sqrt(prediction) - np.sqrt(rate)) ** 2
    else:
        floored = np.maximum(prediction, 2 * eps)
        error = 2 * (xlogy(rate, rate) - xlogy(rate, floored) - rate + floored)
    return error.reshape(len(error), -1).mean(1)


def offset(score, prediction, rate):
    """Expected score less the true error, for one pixel, by summing over all counts of half the dose."""
    held = torch.arange(400.0).unsqueeze(1)
    scores, _ = SplitHalf(score=score).scores(pixels(torch.full_like(held, prediction / 2), held))
    expected = poisson.pmf(np.arange(400), rate / 2) @ scores.numpy()
    return expected - true_error(score, np.array([prediction]), np.array([rate]))[0]


RATES = [1e-4, 0.01, 0.03, 0.1, 0.2, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0, 200.0]


@pytest.mark.parametrize("rate", RATES)
def test_squared_is_unbiased(rate):
    for prediction in (0.0, 0.2, rate, 3 * rate, 40.0):
        assert offset("squared", prediction, rate) == pytest.approx(0, abs=1e-3 if rate > 10 else 1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_deviance_has_the_same_small_offset_for_every_prediction(rate):
    offsets = [offset("deviance", p, rate) for p in (1e-3, 0.2, rate, 3 * rate, 40.0)]
    assert np.ptp(offsets) < 1e-4
    assert abs(offsets[0]) < (0.3 if rate < 20 else 0.01)


@pytest.mark.parametrize("rate", RATES)
def test_sqrt_has_a_small_offset_where_the_prediction_is_right(rate):
    assert abs(offset("sqrt", rate, rate)) < (0.14 if rate < 20 else 0.02)


def estimate(score, model, counts, **options):
    metric = SplitHalf(score=score, **options)
    torch.manual_seed(7)
    metric.update(counts, model, Space())
    return metric.compute()


@pytest.mark.parametrize("dose", [500, 5000])
@pytest.mark.parametrize("score", SCORES)
def test_denoisers_rank_as_they_do_by_the_truth(noise_free, dose, score):
    rng = np.random.default_rng(3)
    rate = (dose * noise_free)[:, None]
    counts = torch.from_numpy(rng.poisson(rate)).float()
    models = [principal(rng.poisson(rate), 12), blur(0.7), blur(2.0), Denoiser(lambda x: x)]
    estimates = [estimate(score, model, counts)[""].item() for model in models]
    errors = [true_error(score, model.said.numpy(), rate).mean() for model in models]
    assert np.argsort(estimates).tolist() == np.argsort(errors).tolist()


@pytest.mark.parametrize("score", ["deviance", "squared"])
def test_differences_are_those_of_the_true_errors(noise_free, score):
    rng = np.random.default_rng(4)
    rate = (1000 * noise_free)[:, None]
    counts = torch.from_numpy(rng.poisson(rate)).float()
    first, second = blur(0.7), blur(1.0)
    torch.manual_seed(7)
    held = thin(counts)[1]
    estimates, errors = [], []
    for model in (first, second):
        result = estimate(score, model, counts)
        scores, _ = SplitHalf(score=score).scores(pixels((model.said / 2).float(), held))
        assert result[""].item() == pytest.approx(scores.mean().item(), rel=1e-5)
        estimates.append(scores.numpy())
        errors.append(true_error(score, model.said.numpy(), rate))
    surplus = (estimates[1] - estimates[0]) - (errors[1] - errors[0])
    assert abs(surplus.mean()) < 4 * surplus.std() / np.sqrt(len(surplus))
    assert surplus.std() / np.sqrt(len(surplus)) < 0.2 * abs(np.mean(errors[1] - errors[0]))


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_squared_is_the_true_error_on_recorded_counts(recorded, sigma):
    counts, rate = recorded
    model = blur(sigma)
    result = estimate("squared", model, counts)
    error = true_error("squared", model.said.numpy(), rate.numpy())
    torch.manual_seed(7)
    scores, _ = SplitHalf(score="squared").scores(pixels((model.said / 2).float(), thin(counts)[1]))
    surplus = scores.numpy() - error
    assert result[""].item() == pytest.approx(error.mean(), abs=4 * surplus.std() / np.sqrt(len(surplus)))
    assert surplus.std() / np.sqrt(len(surplus)) < 0.2 * error.mean()


def test_deviance_is_the_true_one_within_its_offset(noise_free):
    rate = (5000 * noise_free)[:, None]
    counts = torch.from_numpy(np.random.default_rng(5).poisson(rate)).float()
    model = blur(1.0)
    result = estimate("deviance", model, counts)
    error = true_error("deviance", model.said.numpy(), rate).mean()
    assert result[""].item() == pytest.approx(error, abs=0.15)


def test_copying_the_noise_does_not_pay(simulated):
    copy, better = (estimate("deviance", m, simulated.target)[""] for m in (Denoiser(lambda x: x), blur(0.5)))
    assert copy > 0.3
    assert better < copy


@pytest.mark.parametrize(("dose", "share"), [("full", 1.0), ("half", 0.5)])
def test_dose_that_the_model_sees(simulated, dose, share):
    model = Denoiser(lambda x: x)
    estimate("squared", model, simulated.target, dose=dose)
    assert model.saw.sum().item() == pytest.approx(share * simulated.target.sum().item(), rel=0.02)
    both = [estimate("squared", Denoiser(lambda x: x), simulated.target, dose=d)[""].item() for d in ("full", "half")]
    assert both[0] == pytest.approx(both[1], rel=1e-5)


class Masked(Denoiser):
    def forward(self, input, mask):
        self.mask = mask
        return super().forward(input)


def test_mask_goes_to_a_model_that_takes_one_and_limits_the_score(simulated, mask):
    counts = simulated.target.masked_fill(~mask, torch.nan)
    model = Masked(lambda x: np.full_like(x, 3.0))
    metric = SplitHalf(score="squared")
    torch.manual_seed(1)
    metric.update(counts, model, Space(), mask)
    assert model.mask is mask
    assert model.saw.isfinite().all()
    torch.manual_seed(1)
    held = thin(counts, mask)[1].double()
    error = 4 * ((1.5 - held) ** 2 - held)
    values = [e[m].mean().item() for i, (e, m) in enumerate(zip(error, mask, strict=True)) if i != 3]
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-5)


def test_halves_are_independent_poisson_counts():
    torch.manual_seed(0)
    counts = torch.poisson(torch.full((200, 1000), 3.0))
    first, second = thin(counts)
    assert torch.equal(first + second, counts)
    for half in (first, second):
        assert half.mean().item() == pytest.approx(1.5, abs=0.015)
        assert half.var().item() == pytest.approx(1.5, abs=0.03)
    assert np.corrcoef(first.flatten(), second.flatten())[0, 1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("value", [0.5, -1.0, float("nan"), float("inf")])
def test_anything_but_counts_is_refused(value):
    with pytest.raises(UserError, match="needs counts"):
        thin(torch.tensor([[1.0, value]]))
    thin(torch.tensor([[1.0, value]]), torch.tensor([[True, False]]))
