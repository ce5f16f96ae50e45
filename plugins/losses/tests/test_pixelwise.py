from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import huber
from stem_losses.pixelwise import Huber, MeanAbsoluteError, MeanSquaredError, ScaleAligned
from stem_losses.poisson_nll import PoissonNLL
from stem_losses.ssim_loss import StructuralSimilarity

POINTWISE = {
    "mse": (MeanSquaredError(), lambda y, x: (y - x) ** 2),
    "l1": (MeanAbsoluteError(), lambda y, x: np.abs(y - x)),
    "huber": (Huber(delta=0.7), lambda y, x: huber(0.7, y - x)),
    "scale_aligned": (ScaleAligned(), lambda y, x: (y - x) ** 2),
}
EVERY = {name: loss for name, (loss, _) in POINTWISE.items()} | {
    "poisson_nll": PoissonNLL(),
    "poisson_nll full": PoissonNLL(full=True),
    "ssim": StructuralSimilarity(),
    "ssim 4": StructuralSimilarity(data_range=4.0),
}
every = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
pointwise = pytest.mark.parametrize(("loss", "formula"), POINTWISE.values(), ids=POINTWISE)


def batch(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prediction, target (counts) and mask in float64."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.poisson(torch.full(shape, 2.0, dtype=torch.float64), generator)
    prediction = target + torch.randn(shape, generator=generator, dtype=torch.float64)
    return prediction, target, torch.rand(shape, generator=generator) < 0.7


@pointwise
@pytest.mark.parametrize("shape", [(64, 1, 128, 128), (64, 32)])
def test_formula_in_float32(loss, formula, shape):
    prediction, target, mask = batch(*shape)
    expected = formula(prediction.numpy(), target.numpy())
    assert loss(prediction.float(), target.float()).item() == pytest.approx(expected.mean(), rel=1e-5)
    masked = loss(prediction.float(), target.float(), mask)
    assert masked.item() == pytest.approx(expected[mask.numpy()].mean(), rel=1e-5)
    assert masked.dtype == torch.float32
    assert masked.shape == ()


@pointwise
def test_formula_on_measured_patterns(loss, formula, counts, blurred):
    value = loss(torch.from_numpy(blurred).float(), torch.from_numpy(counts).float())
    assert value.item() == pytest.approx(formula(blurred, counts).mean(), rel=1e-5)


@every
def test_gradient(loss):
    prediction, target, mask = batch(2, 2, 7, 8)
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, target), prediction)
    assert torch.autograd.gradcheck(lambda p: loss(p, target, mask), prediction)


@every
def test_nan_under_the_mask_does_not_leak(loss):
    prediction, target, mask = batch(3, 2, 8, 8)
    prediction.requires_grad_()
    clean = loss(prediction, target, mask)
    (clean_gradient,) = torch.autograd.grad(clean, prediction)
    dirty = loss(prediction, target.masked_fill(~mask, torch.nan), mask)
    (gradient,) = torch.autograd.grad(dirty, prediction)
    assert dirty == clean
    assert torch.equal(gradient, clean_gradient)
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).any()


@every
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_nothing_valid_is_zero_with_zero_gradient(loss):
    prediction, target, _ = batch(3, 2, 8, 8)
    prediction.requires_grad_()
    with torch.autograd.detect_anomaly():
        value = loss(prediction, target * torch.nan, torch.zeros(3, 2, 8, 8, dtype=torch.bool))
        value.backward()
    assert value == 0
    assert (prediction.grad == 0).all()


@every
def test_one_empty_pattern_among_others_is_left_out(loss):
    prediction, target, mask = batch(3, 1, 8, 8)
    mask[1] = False
    assert loss(prediction, target, mask).item() == pytest.approx(
        loss(prediction[[0, 2]], target[[0, 2]], mask[[0, 2]]).item()
    )


@every
def test_a_full_mask_changes_nothing(loss):
    prediction, target, _ = batch(3, 2, 8, 8)
    full = torch.ones(3, 1, 8, 8, dtype=torch.bool)
    assert loss(prediction, target, full).item() == pytest.approx(loss(prediction, target).item(), rel=1e-12)


@every
def test_the_batch_size_does_not_matter(loss):
    prediction, target, _ = batch(2, 1, 8, 8)
    twice = loss(prediction.repeat(5, 1, 1, 1), target.repeat(5, 1, 1, 1))
    assert twice.item() == pytest.approx(loss(prediction, target).item(), rel=1e-12)


@every
def test_runs_on_meta_tensors(loss):
    shapes = [torch.empty(4, 1, 16, 16, device="meta"), torch.empty(4, 1, 16, 16, device="meta")]
    mask = torch.empty(4, 1, 16, 16, dtype=torch.bool, device="meta")
    assert loss(*shapes).shape == loss(*shapes, mask).shape == ()


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "ssim"])
def test_equal_images_cost_nothing(name):
    target = torch.rand(1, 1, 16, 16)
    assert EVERY[name](target, target).item() == pytest.approx(0, abs=1e-6)
    zeros = torch.zeros(1, 1, 16, 16, requires_grad=True)
    value = EVERY[name](zeros, torch.zeros(1, 1, 16, 16))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-7)
    assert (zeros.grad == 0).all()


def test_scale_aligned_is_sigma_squared_times_the_standardized_error():
    prediction, target, _ = batch(8, 1, 16, 16)
    mu, sigma = 0.3, 1.7
    standardized = MeanSquaredError()(prediction, target)
    in_log_space = ScaleAligned()(prediction * sigma + mu, target * sigma + mu)
    assert in_log_space.item() == pytest.approx(sigma**2 * standardized.item())
    assert ScaleAligned.inputs == {"prediction": "prediction@log1p", "target": "target@log1p"}


@pointwise
def test_a_table_is_scored_where_it_was_measured(loss, formula, expression):
    rng = np.random.default_rng(0)
    prediction = 0.7 * expression + 0.1 * rng.normal(size=expression.shape)
    measured = rng.random(expression.shape) < 0.8
    expected = formula(prediction[measured], expression[measured]).mean()
    missing = torch.from_numpy(np.where(measured, expression, np.nan)).float()
    guess = torch.from_numpy(prediction).float().requires_grad_()
    value = loss(guess, missing, torch.from_numpy(measured))
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert (guess.grad[~torch.from_numpy(measured)] == 0).all()
    assert guess.grad.isfinite().all()
