from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from stem_losses.ssim_loss import StructuralSimilarity
from torchmetrics.functional.image import structural_similarity_index_measure

from stemcore import UserError


def window(images: np.ndarray) -> np.ndarray:
    offset = np.arange(-5, 6)
    taps = np.exp(-(offset**2) / (2 * 1.5**2))
    for axis in (-1, -2):
        images = correlate1d(images, taps / taps.sum(), axis, mode="mirror")
    return images


def ssim_by_scipy(x: np.ndarray, y: np.ndarray, extent: np.ndarray | float) -> np.ndarray:
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    mx, my = window(x), window(y)
    vx, vy, vxy = window(x * x) - mx**2, window(y * y) - my**2, window(x * y) - mx * my
    return (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(a).float() for a in arrays]


def test_each_pattern_has_its_own_range(counts, blurred):
    extent = np.ptp(counts, axis=(1, 2, 3)).reshape(-1, 1, 1, 1)
    assert counts.min(axis=(1, 2, 3)).max() == 0
    expected = 1 - ssim_by_scipy(blurred, counts, extent).mean()
    assert StructuralSimilarity()(*tensors(blurred, counts)).item() == pytest.approx(expected, abs=1e-5)


def test_agrees_with_torchmetrics_pattern_by_pattern(counts, blurred):
    x, y = tensors(blurred[:8], counts[:8])
    each = [
        structural_similarity_index_measure(x[i : i + 1], y[i : i + 1], data_range=y[i].max().item()) for i in range(8)
    ]
    assert StructuralSimilarity()(x, y).item() == pytest.approx(1 - torch.stack(each).mean().item(), abs=1e-4)


def test_a_given_range(counts, blurred):
    x, y = np.log1p(blurred), np.log1p(counts)
    expected = 1 - ssim_by_scipy(x, y, 6.0).mean()
    assert StructuralSimilarity(data_range=6.0)(*tensors(x, y)).item() == pytest.approx(expected, abs=1e-5)


def test_pattern_range_is_blind_to_scale_and_offset(counts, blurred):
    loss = StructuralSimilarity()
    plain = loss(*tensors(blurred, counts)).item()
    standardized = loss(*tensors((blurred - 0.3) / 2.2, (counts - 0.3) / 2.2)).item()
    assert standardized == pytest.approx(plain, abs=1e-5)


def test_masked_pixels_have_no_weight_in_any_window():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 1, 16, 16)), rng.random((2, 1, 16, 16))
    mask = rng.random((2, 1, 16, 16)) < 0.6
    low = np.where(mask, y, np.inf).min(axis=(1, 2, 3), keepdims=True)
    extent = np.where(mask, y, -np.inf).max(axis=(1, 2, 3), keepdims=True) - low
    x1, y1 = (x - low) / extent, (y - low) / extent

    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    padded = [np.pad(a, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="reflect") for a in (x1, y1, mask.astype(float))]
    values = []
    for n, _, i, j in np.argwhere(mask):
        a, b, m = (p[n, 0, i : i + 11, j : j + 11] for p in padded)
        w = np.outer(taps, taps) * m
        ma, mb = np.average(a, weights=w), np.average(b, weights=w)
        va, vb = np.average((a - ma) ** 2, weights=w), np.average((b - mb) ** 2, weights=w)
        vab = np.average((a - ma) * (b - mb), weights=w)
        values.append((2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))

    arguments = [torch.from_numpy(a) for a in (x, y, mask)]
    assert StructuralSimilarity()(*arguments).item() == pytest.approx(1 - np.mean(values), rel=1e-9)


@pytest.mark.parametrize("level", [0.0, 5.0, -3.0])
def test_a_pattern_without_range_counts_with_one_of_1(level):
    target = torch.full((2, 1, 16, 16), level, dtype=torch.float64)
    prediction = (target + 0.5).requires_grad_()
    value = StructuralSimilarity()(prediction, target)
    value.backward()
    assert value.item() == pytest.approx(1 - 1e-4 / (0.25 + 1e-4))
    assert (prediction.grad > 0).all()


def test_descent_improves_the_similarity(counts):
    (target,) = tensors(counts[:4])
    loss = StructuralSimilarity()
    prediction = torch.full_like(target, 0.1).requires_grad_()
    before = loss(prediction, target)
    (slope,) = torch.autograd.grad(before, prediction)
    assert loss(prediction - 0.05 * slope / slope.abs().max(), target) < before


@pytest.mark.parametrize("shape", [(4, 32), (4, 64, 64), (4, 1, 5, 64)])
def test_what_is_not_an_image_is_refused(shape):
    with pytest.raises(UserError, match=r"ssim compares images \(n, c, h, w\) of at least 6 x 6"):
        StructuralSimilarity()(torch.zeros(shape), torch.zeros(shape))


def test_the_smallest_image():
    target = torch.rand(1, 1, 6, 6)
    assert StructuralSimilarity()(1 - target, target) > 0.5
