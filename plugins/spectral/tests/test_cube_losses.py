from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from stem_spectral.angle import SpectralAngle
from stem_spectral.losses import BandSum, MaskedSquaredError, RangePenalty, SpectralVariance
from torchmetrics.functional.image import spectral_angle_mapper

from stemcore import UserError

SCENE = Path(__file__).resolve().parents[4] / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
EVERY = [MaskedSquaredError, SpectralAngle, SpectralVariance, BandSum]


@pytest.fixture(scope="module")
def scene():
    """Reflectances (1, 198, 50, 60), their mean over 5 x 5 pixels, and patches (5 x 5 pixels of 11 bands) to hide."""
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(SCENE) as file:
        target = file["Cube/Images"][:, :50, :60]
    means = target.reshape(198, 10, 5, 12, 5).mean((2, 4))
    prediction = means.repeat(5, 1).repeat(5, 2)
    hidden = np.kron(np.random.default_rng(0).random((18, 10, 12)) < 0.75, np.ones((11, 5, 5), dtype=bool))
    return tuple(torch.from_numpy(x)[None] for x in (prediction, target, hidden))


def given(prediction, target, hidden, loss):
    return (prediction, target) if isinstance(loss, SpectralVariance) else (prediction, target, hidden)


def test_angles_of_a_real_scene_are_those_of_torchmetrics(scene):
    prediction, target, _ = (x.double() if x.is_floating_point() else x for x in scene)
    expected = spectral_angle_mapper(prediction, target).item()
    assert SpectralAngle()(prediction, target).item() == pytest.approx(expected, rel=1e-6)
    assert expected > 0.05


def test_hidden_values_of_a_real_scene(scene):
    prediction, target, hidden = scene
    p, t, h = (x.numpy().astype(float) if x.is_floating_point() else x.numpy() for x in scene)
    assert MaskedSquaredError()(*scene).item() == pytest.approx(np.mean((p[h] - t[h]) ** 2), rel=1e-5)
    p, t = (np.moveaxis(x * h, 1, -1)[h.any(1)] for x in (p, t))
    cosine = (p * t).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(t, axis=1)
    found = SpectralAngle(where="hidden")(prediction, target, hidden).item()
    assert found == pytest.approx(np.arccos(cosine.clip(-1, 1)).mean(), rel=1e-4)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half):
    target = (1 + torch.rand(2, 30, 64, 64, generator=torch.Generator().manual_seed(0))).to(half)
    hidden = torch.ones_like(target, dtype=torch.bool)
    for factor in (2, 16):  # The same spectra at another brightness, angles of 0; squares that add up to 6e7.
        for loss in (kind() for kind in EVERY):
            prediction = (factor * target).detach().requires_grad_()
            value = loss(*given(prediction, target, hidden, loss))
            value.backward()
            expected = loss(*given(prediction.detach().double(), target.double(), hidden, loss))
            # An angle of 0 is that of the largest cosine that the loss takes.
            assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=5e-4)
            assert prediction.grad.isfinite().all()


def test_what_was_shown_does_not_matter_to_what_was_hidden(scene):
    prediction, target, hidden = scene
    other = torch.where(hidden, prediction, torch.rand(prediction.shape, generator=torch.Generator().manual_seed(0)))
    for loss in (MaskedSquaredError(), SpectralAngle(where="hidden"), BandSum(where="hidden")):
        assert torch.equal(loss(other, target, hidden), loss(prediction, target, hidden))
    assert SpectralAngle()(other, target, hidden) > SpectralAngle()(prediction, target, hidden)


@pytest.mark.parametrize("side", ["prediction", "target", "both"])
def test_spectra_that_are_all_zero_give_neither_nan_nor_gradient(side):
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.rand(2, 6, 4, 5, generator=generator) for _ in range(2))
    for name, cube in (("prediction", prediction), ("target", target)):
        if side in (name, "both"):
            cube[:, :, 1, 2] = 0
    prediction.requires_grad_()
    value = SpectralAngle()(prediction, target)
    value.backward()
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[:, :, 1, 2].any()
    assert prediction.grad[:, :, 0, 0].any()
    kept = torch.ones(4, 5, dtype=torch.bool)
    kept[1, 2] = False
    mask = kept.expand(2, 6, 4, 5)
    assert value.item() == pytest.approx(SpectralAngle()(prediction, target, mask=mask).item() * 19 / 20, rel=1e-5)


def test_equal_and_opposite_spectra_have_a_finite_gradient():
    target = torch.rand(1, 5, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    for factor, angle in ((1.0, 0.0), (2.0, 0.0), (-1.0, np.pi)):
        prediction = (factor * target).requires_grad_()
        value = SpectralAngle()(prediction, target)
        value.backward()
        assert torch.isfinite(prediction.grad).all()
        assert value.item() == pytest.approx(angle, abs=1e-3)


@pytest.mark.parametrize("loss", [MaskedSquaredError(), SpectralAngle(where="hidden"), BandSum(where="hidden")])
def test_where_nothing_was_hidden_there_is_neither_loss_nor_gradient(loss):
    prediction = torch.rand(2, 6, 4, 4).requires_grad_()
    value = loss(prediction, torch.rand(2, 6, 4, 4), torch.zeros(2, 6, 4, 4, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert not prediction.grad.any()


def test_contrast_that_lacks_is_what_standard_deviations_differ_by(scene):
    prediction, target, _ = scene
    p, t = (x.double().numpy().reshape(198, -1) for x in (prediction, target))
    expected = np.maximum(t.std(1) - p.std(1), 0).mean()
    assert SpectralVariance()(prediction, target).item() == pytest.approx(expected, rel=1e-4)
    assert SpectralVariance()(1.5 * target, target).item() == 0  # more contrast than there is, is not rewarded
    flat = target.mean((2, 3), keepdim=True).expand_as(target)
    assert SpectralVariance()(flat, target).item() == pytest.approx(t.std(1).mean(), rel=1e-3)


def test_a_step_down_gives_a_dull_reconstruction_contrast(scene):
    _, target, _ = scene
    prediction = (0.2 * target).requires_grad_()
    (slope,) = torch.autograd.grad(SpectralVariance()(prediction, target), prediction)
    after = prediction.detach() - 100 * slope
    assert (after.std((2, 3)) > prediction.detach().std((2, 3))).all()


def test_a_band_that_collapsed_has_a_finite_gradient():
    target = torch.rand(2, 4, 5, 5)
    prediction = torch.full_like(target, 0.3).requires_grad_()
    SpectralVariance()(prediction, target).backward()
    assert torch.isfinite(prediction.grad).all()


def test_errors_that_cancel_over_the_spectrum_cost_nothing_as_sums():
    target = torch.zeros(1, 4, 2, 2)
    error = torch.tensor([1.0, 2.0, -1.0, -2.0]).view(1, 4, 1, 1).expand_as(target)
    assert BandSum(bands_per_group=2)(error, target).item() == 0  # groups (1, 2) and (-1, -2)
    assert BandSum(bands_per_group=4)(error, target).item() == 2.5  # a single group: the mean square
    assert BandSum(bands_per_group=2)(error.abs(), target).item() == (2**2 + 4**2) / 2
    assert BandSum(bands_per_group=1)(error.abs(), target).item() == 6**2
    assert BandSum(bands_per_group=3)(error.abs(), target).item() == pytest.approx((3**2 + 2**2 + 1**2) / 3)


def test_range_of_the_seed_and_another():
    x = torch.tensor([-0.5, 0.0, 0.4, 1.0, 1.25]).view(1, 5, 1, 1)
    assert RangePenalty()(x).item() == pytest.approx((0.5 + 0.25) / 5)
    assert RangePenalty(low=-1, high=0.4)(x).item() == pytest.approx((0.6 + 0.85) / 5)
    with pytest.raises(UserError, match=r"no range from low 1.0 to high 1.0"):
        RangePenalty(low=1.0)


@pytest.mark.parametrize("loss_class", EVERY)
def test_shapes_that_do_not_fit_are_named(loss_class):
    loss, cube, spots = loss_class(), torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4, dtype=torch.bool)
    with pytest.raises(UserError, match="differ in shape"):
        loss(*given(cube, cube[:, :2], spots, loss))
    with pytest.raises(UserError, match=r"cubes are \(n, bands, height, width\), not \(2, 3\)"):
        loss(*given(cube[..., 0, 0], cube[..., 0, 0], spots, loss))
    with pytest.raises(UserError, match=r"a mask \(2, 1, 4, 3\) does not fit"):
        loss(*given(cube, cube, spots, loss), mask=spots[:, :1, :, :3])
