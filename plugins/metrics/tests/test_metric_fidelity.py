from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from stem_metrics.fidelity import PeakSignalToNoise, StructuralSimilarity, window_matrix
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from stemcore import UserError


def test_psnr_is_that_of_torchmetrics_at_each_patterns_range(patterns):
    metric = PeakSignalToNoise()
    metric.update(patterns.prediction, patterns.target)
    values = [
        peak_signal_noise_ratio(p.double(), t.double(), data_range=(t.max() - t.min()).item()).item()
        for p, t in zip(patterns.prediction, patterns.target, strict=True)
    ]
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-6)
    assert metric.compute()["std"].item() == pytest.approx(np.std(values), rel=1e-4)


def test_psnr_of_perfect_and_constant_patterns():
    target = torch.tensor([[0.0, 10.0], [0.0, 10.0], [5.0, 5.0]])
    prediction = torch.tensor([[0.0, 10.0], [1.0, 9.0], [5.0, 6.0]])
    metric = PeakSignalToNoise(cap=80)
    metric.update(prediction, target)
    result = metric.compute()
    assert result[""].item() == pytest.approx((80 + 20) / 2)
    assert result["left_out"] == 1


def test_psnr_range_is_that_of_valid_pixels():
    metric = PeakSignalToNoise()
    mask = torch.tensor([[True, True, False]])
    metric.update(torch.tensor([[1.0, 9.0, 3.0]]), torch.tensor([[0.0, 10.0, 65535.0]]), mask)
    assert metric.compute()[""].item() == pytest.approx(20.0)


def test_ssim_is_that_of_torchmetrics_at_each_patterns_range(patterns):
    metric = StructuralSimilarity()
    metric.update(patterns.prediction, patterns.target)
    values = []
    for p, t in zip(patterns.prediction.double(), patterns.target.double(), strict=True):
        reach = (t.max() - t.min()).item()
        values.append(structural_similarity_index_measure(p[None], t[None], data_range=reach).item())
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-6)
    assert metric.compute()["std"].item() == pytest.approx(np.std(values), rel=1e-4)


def test_ssim_of_equal_patterns_is_one_and_constant_ones_are_left_out(simulated):
    metric = StructuralSimilarity()
    target = simulated.target.clone()
    target[0] = 3
    metric.update(target, target)
    assert metric.compute()[""].item() == pytest.approx(1)
    assert metric.compute()["left_out"] == 1


def masked_ssim(prediction, target, valid):
    """SSIM by SciPy's Gaussian filter, its weights shared among valid pixels."""
    reach = target[valid].max() - target[valid].min()

    def local(x):
        blur = [gaussian_filter(np.where(valid, a, 0.0), 1.5, mode="mirror", radius=5) for a in (x, np.ones_like(x))]
        return blur[0] / np.maximum(blur[1], 1e-30)

    a, b = local(prediction), local(target)
    va, vb = local(prediction**2) - a**2, local(target**2) - b**2
    cov = local(prediction * target) - a * b
    c1, c2 = (0.01 * reach) ** 2, (0.03 * reach) ** 2
    return ((2 * a * b + c1) * (2 * cov + c2) / ((a**2 + b**2 + c1) * (va + vb + c2)))[valid].mean()


def test_ssim_with_a_mask(simulated, mask):
    metric = StructuralSimilarity()
    metric.update(simulated.prediction, simulated.target, mask)
    arrays = (x[:, 0].double().numpy() for x in (simulated.prediction, simulated.target))
    rows = enumerate(zip(*arrays, mask[:, 0].numpy(), strict=True))
    values = [masked_ssim(p, t, m) for i, (p, t, m) in rows if i != 3]
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-6)
    assert metric.compute()["left_out"] == 1


def test_ssim_is_the_mean_over_channels(simulated):
    pairs = [simulated.prediction.reshape(-1, 2, 36, 32), simulated.target.reshape(-1, 2, 36, 32)]
    target = pairs[1].double()
    reach = target.flatten(1).amax(1) - target.flatten(1).amin(1)
    values = [
        structural_similarity_index_measure(p[None].double(), t[None], data_range=r.item()).item()
        for p, t, r in zip(pairs[0], target, reach, strict=True)
    ]
    metric = StructuralSimilarity()
    metric.update(*pairs)
    assert metric.compute()[""].item() == pytest.approx(np.mean(values), rel=1e-6)


def test_ssim_needs_images():
    with pytest.raises(UserError, match="needs images"):
        StructuralSimilarity().update(torch.ones(2, 5), torch.ones(2, 5))


@pytest.mark.parametrize("size", [1, 2, 4, 9, 33])
@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_window_is_scipys_gaussian_with_mirrored_edges(size, sigma):
    signal = np.random.default_rng(0).random(size)
    radius = int(3.5 * sigma + 0.5) if size > 1 else 0
    expected = gaussian_filter(signal, sigma, mode="mirror", radius=radius)
    assert np.allclose(window_matrix(size, sigma).numpy() @ signal, expected)
