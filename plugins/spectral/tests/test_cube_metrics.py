from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from stem_spectral.angle import SpectralAngleMapper
from stem_spectral.cube_error import CubePeakSignalToNoise, CubeSquaredError
from stem_spectral.cube_similarity import CubeSimilarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    spectral_angle_mapper,
    structural_similarity_index_measure,
)

from stemcore import UserError

SCENE = Path(__file__).resolve().parents[4] / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
CLASSES = [CubeSquaredError, CubePeakSignalToNoise, CubeSimilarity, SpectralAngleMapper]
every = pytest.mark.parametrize("metric_class", CLASSES)


@pytest.fixture(scope="module")
def scene():
    """Reflectances (198, 100, 100)."""
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(SCENE) as file:
        return file["Cube/Images"][:]


@pytest.fixture(scope="module")
def cubes():
    """Prediction, target, hidden, mask (9, 5, 12, 14)."""
    rng = np.random.default_rng(0)
    target = rng.random((9, 5, 12, 14))
    prediction = 0.7 * target + 0.1 * rng.random(target.shape)
    hidden = np.kron(rng.random((9, 5, 6, 7)) < 0.6, np.ones((2, 2), dtype=bool))
    mask = rng.random(target.shape) < 0.9
    return tuple(torch.from_numpy(x) for x in (prediction, target, hidden, mask))


def fed(metric, *tensors, size=1000):
    for part in zip(*(t.split(size) for t in tensors), strict=True):
        metric.update(*part)
    return metric


def values(metric):
    return {name: value.item() for name, value in metric.compute().items()}


def scores(prediction, target, hidden):
    """PSNR in dB and SAM in degrees of what was hidden of one cube (bands, height, width)."""
    tensors = [torch.from_numpy(np.ascontiguousarray(x))[None] for x in (prediction, target, hidden)]
    return tuple(values(fed(m, *tensors))[""] for m in (CubePeakSignalToNoise(), SpectralAngleMapper()))


def by_numpy(found, true):
    """The same of spectra (n, bands)."""
    found, true = found.astype(float), true.astype(float)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1)
    angle = np.arccos(np.clip((found * true).sum(1) / norms, -1, 1))
    return 10 * np.log10(1 / np.mean((found - true) ** 2)), np.degrees(angle).mean()


def test_the_published_mean_spectrum_baseline(scene):
    hidden = np.zeros(10_000, dtype=bool)
    hidden[np.random.default_rng(1).permutation(10_000)[:2000]] = True
    hidden = hidden.reshape(100, 100)
    mean = scene[:, ~hidden].mean(1)
    prediction = np.broadcast_to(mean[:, None, None], scene.shape)
    psnr, sam = scores(prediction, scene, np.broadcast_to(hidden, scene.shape))
    assert (psnr, sam) == pytest.approx(by_numpy(prediction[:, hidden].T, scene[:, hidden].T), rel=1e-6)
    assert psnr == pytest.approx(14.85, abs=0.15)
    assert sam == pytest.approx(25.32, abs=0.6)


def test_the_published_interpolation_baseline(scene):
    """75 % of 5 x 5 patches hidden; where there is nothing to interpolate between, the nearest."""
    patches = np.ones(400, dtype=bool)
    patches[np.random.default_rng(2).permutation(400)[:100]] = False
    hidden = np.kron(patches.reshape(20, 20), np.ones((5, 5), dtype=bool))
    known, wanted = np.argwhere(~hidden), np.argwhere(hidden)
    nearest = NearestNDInterpolator(known, scene[:, ~hidden].T)(wanted)
    linear = LinearNDInterpolator(known, scene[:, ~hidden].T)(wanted)
    linear = np.where(np.isnan(linear), nearest, linear)
    for spectra, published in ((nearest, (19.47, 11.00)), (linear, (21.19, 11.63))):
        prediction = np.full_like(scene, np.nan)  # nothing is predicted of what was shown, and nothing scored
        prediction[:, hidden] = spectra.T
        mask = np.broadcast_to(hidden, scene.shape)
        psnr, sam = scores(prediction, scene, mask)
        assert (psnr, sam) == pytest.approx(by_numpy(prediction[:, hidden].T, scene[:, hidden].T), rel=1e-6)
        assert (psnr, sam) == pytest.approx(published, abs=1.2)  # which pixels are hidden moves them by that much


def test_torchmetrics_agrees_on_a_real_scene(scene):
    target = torch.from_numpy(scene[:, :40, :60].astype(float))[None]
    prediction = 0.9 * target.roll(1, -1) + 0.01
    assert values(fed(CubePeakSignalToNoise(), prediction, target))[""] == pytest.approx(
        peak_signal_noise_ratio(prediction, target, data_range=1.0).item(), rel=1e-6
    )
    reach = (target.max() - target.min()).item()
    own = values(fed(CubePeakSignalToNoise(data_range="target"), prediction, target))[""]
    assert own == pytest.approx(peak_signal_noise_ratio(prediction, target, data_range=reach).item(), rel=1e-6)
    angle = spectral_angle_mapper(prediction, target).rad2deg().item()
    assert values(fed(SpectralAngleMapper(), prediction, target))[""] == pytest.approx(angle, rel=1e-6)


@pytest.mark.parametrize("sigma", [1.5, 0.8])
def test_similarity_is_that_of_torchmetrics_window_by_window(scene, sigma):
    target = torch.from_numpy(scene[::20, :40, :60].astype(float))[None]
    prediction = 0.9 * target.roll(1, -1) + 0.01
    _, windows = structural_similarity_index_measure(
        prediction, target, data_range=1.0, sigma=sigma, return_full_image=True
    )
    found = values(fed(CubeSimilarity(sigma=sigma, bands=[3]), prediction, target))
    assert found[""] == pytest.approx(windows.mean().item(), rel=1e-6)
    assert found["band_3"] == pytest.approx(windows[:, 3].mean().item(), rel=1e-6)
    assert found["band_worst"] == pytest.approx(windows.mean((0, 2, 3)).min().item(), rel=1e-6)


def test_bands_are_scored_like_cubes_of_one_band(cubes):
    for metric_class in CLASSES[:3]:
        whole = values(fed(metric_class(bands=[4, 0]), *cubes))
        single = [values(fed(metric_class(), *(x[:, k : k + 1] for x in cubes)))[""] for k in range(5)]
        assert whole["band_4"] == pytest.approx(single[4], rel=1e-9)
        assert whole["band_0"] == pytest.approx(single[0], rel=1e-9)
        assert whole["band_median"] == pytest.approx(np.median(single), rel=1e-9)
        worst = min if metric_class().reports()[""] == "max" else max
        assert whole["band_worst"] == pytest.approx(worst(single), rel=1e-9)


def test_a_band_without_a_good_value_has_no_part(cubes):
    prediction, target, hidden, mask = cubes
    mask = mask.clone()
    mask[:, 2] = False
    found = values(fed(CubeSquaredError(bands=[2]), prediction, target, hidden, mask))
    kept = [0, 1, 3, 4]
    rest = values(fed(CubeSquaredError(), *(x[:, kept] for x in (prediction, target, hidden, mask))))
    assert math.isnan(found.pop("band_2"))
    assert found == pytest.approx(rest, rel=1e-12)


@every
def test_batches_and_merging_give_the_same_as_the_whole(metric_class, cubes):
    whole = values(fed(metric_class(), *cubes))
    assert values(fed(metric_class(), *cubes, size=2)) == pytest.approx(whole, rel=1e-12)
    first, second = (fed(metric_class(), *(x[part] for x in cubes)) for part in (slice(0, 4), slice(4, None)))
    first.merge_state(second)
    assert values(first) == pytest.approx(whole, rel=1e-12)
    idle = metric_class()
    idle.merge_state(fed(metric_class(), *cubes))
    assert values(idle) == pytest.approx(whole, rel=1e-12)


def test_more_values_than_single_precision_counts():
    """Sums travel between processes as pairs of float32: 2^24 + 1 would become 2^24 in one of them."""
    metric = CubeSquaredError()
    for _ in range(3):
        metric.add(*torch.tensor([[2.0**24 + 1], [2.0**24 + 1]], dtype=torch.float64))
    assert metric._sums().tolist() == [[3 * (2.0**24 + 1)], [3 * (2.0**24 + 1)]]


@every
def test_all_values_or_hidden_ones(metric_class, cubes):
    prediction, target, hidden, mask = cubes
    every_value = values(fed(metric_class(where="all"), *cubes))
    assert values(fed(metric_class(where="all"), prediction, target, ~hidden, mask)) == every_value
    without = metric_class()
    without.update(prediction, target, mask=mask)
    assert values(without) == every_value  # nobody says what was hidden
    shown = torch.where(hidden, prediction, 0.5)
    assert values(fed(metric_class(), shown, target, hidden, mask)) == values(fed(metric_class(), *cubes))
    assert values(fed(metric_class(where="all"), shown, target, hidden, mask))[""] != every_value[""]


def test_pixels_without_light_are_counted_not_scored():
    target = torch.rand(2, 6, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    prediction = target.flip(1)
    before = values(fed(SpectralAngleMapper(), prediction, target))
    dark = target.clone()
    dark[1, :, 2, 2:4] = 0
    found = values(fed(SpectralAngleMapper(), prediction, dark))
    assert found["left_out"] == 2
    assert before["left_out"] == 0
    mask = (dark != 0).any(1, keepdim=True)
    expected = SpectralAngleMapper()
    expected.update(prediction, target, mask=mask)
    assert found[""] == pytest.approx(values(expected)[""], rel=1e-12)


def test_a_prediction_of_nothing_is_as_far_as_can_be():
    target = torch.rand(2, 6, 4, 5)
    assert values(fed(SpectralAngleMapper(), 0 * target, target))[""] == pytest.approx(90)


@every
def test_a_prediction_that_is_nan_shows(metric_class, cubes):
    prediction = cubes[0].clone()
    prediction[3, 1, 5, 5] = torch.nan
    assert math.isnan(values(fed(metric_class(), prediction, cubes[1]))[""])


@every
def test_before_any_cube_scores_are_nan(metric_class):
    found = values(metric_class())
    assert math.isnan(found[""])
    assert found.keys() == metric_class().reports().keys()


@pytest.mark.parametrize("metric_class", CLASSES[:3])
def test_bands_that_are_not_there(metric_class, cubes):
    with pytest.raises(UserError, match=r"the data have no band 5, 7; bands are 0 to 4"):
        fed(metric_class(bands=[1, 5, 7]), *cubes)
    metric = fed(metric_class(), *cubes)
    with pytest.raises(UserError, match="cubes of 3 bands came after cubes of 5"):
        metric.update(*(x[:, :3] for x in cubes))
