from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import ndimage
from stem_transforms.center import Center

from stemcore import FieldSpec, UserError

H, W = 20, 31
SPEC = FieldSpec("input", (1, H, W), "uint16", "counts", minimum=0)
MIDDLE = np.array([(H - 1) / 2, (W - 1) / 2])
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem"


def disks(n=6, seed=0):
    """Noisy spots a few pixels off the middle."""
    rng = np.random.default_rng(seed)
    at = MIDDLE + rng.uniform(-3, 3, (n, 2))
    y, x = np.mgrid[:H, :W]
    rate = 40 * np.exp(-((y - at[:, 0, None, None]) ** 2 + (x - at[:, 1, None, None]) ** 2) / 8)
    return torch.from_numpy(rng.poisson(rate).astype(np.float64))[:, None]


def masses(x):
    return np.array([ndimage.center_of_mass(p[0]) for p in x.numpy()])


def rolled(x, by):
    """One array shifted by whole pixels, zeros coming in."""
    return ndimage.shift(x, by, order=0, mode="constant", cval=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_pattern_is_rolled_by_its_own_centre_of_mass(dtype):
    x = disks()
    by = np.round(MIDDLE - masses(x))
    assert len(np.unique(by, axis=0)) > 2
    y = Center(SPEC)(x.to(dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[:, 0].numpy(), [rolled(p[0], s) for p, s in zip(x.numpy(), by, strict=True)])
    assert (np.abs(masses(y.double()) - MIDDLE) <= 0.55).all()
    np.testing.assert_array_equal(Center(SPEC)(x[:1]).numpy(), y[:1].numpy())


def test_subpixel_shift_is_bilinear_and_centres():
    x = disks()
    by = MIDDLE - masses(x)
    y = Center(SPEC, integer=False)(x)
    # order=1 with zeros beyond the edge ('grid-constant') is bilinear interpolation by definition
    expected = [ndimage.shift(p[0], s, order=1, mode="grid-constant") for p, s in zip(x.numpy(), by, strict=True)]
    np.testing.assert_allclose(y[:, 0].numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(masses(y), np.broadcast_to(MIDDLE, (6, 2)), atol=1e-3)
    y32 = Center(SPEC, integer=False)(x.float())
    np.testing.assert_allclose(y32.numpy(), y.numpy(), atol=1e-3)


@pytest.mark.parametrize("radius", [2.5, 6.0])
def test_only_intensity_within_the_radius_counts(radius):
    x = disks()
    x[:, 0, :, 28] = 500
    y, across = np.mgrid[:H, :W] - MIDDLE[:, None, None]
    near = torch.from_numpy(y**2 + across**2 <= radius**2)
    expected = [rolled(p[0], s) for p, s in zip(x.numpy(), np.round(MIDDLE - masses(x * near)), strict=True)]
    np.testing.assert_array_equal(Center(SPEC, radius=radius)(x)[:, 0].numpy(), expected)


def test_an_empty_pattern_stays_put():
    x = disks()
    x[2] = 0
    y = Center(SPEC)(x)
    assert (y[2] == 0).all()
    assert y.isfinite().all()
    only_negative = -disks(1)
    torch.testing.assert_close(Center(SPEC, integer=False)(only_negative), only_negative)


def test_masked_pixels_do_not_count_and_masks_move_along():
    x = disks()
    hot = x.clone()
    hot[:, 0, 1, 1] = float("nan")
    hot[:, 0, 2, 2] = 1e6
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 0, 1:3, 1:3] = False
    by = np.round(MIDDLE - masses(torch.where(mask, x, 0)))
    other = torch.arange(H * W).reshape(1, 1, H, W).expand(6, 1, H, W)
    main, others, masks = Center(SPEC).together(hot, {"labels": other, "rgb": x.expand(6, 3, H, W)}, {"mask": mask})
    for i, s in enumerate(by):
        np.testing.assert_array_equal(others["labels"][i, 0].numpy(), rolled(other[i, 0].numpy(), s))
        for c in range(3):
            np.testing.assert_array_equal(others["rgb"][i, c].numpy(), rolled(x[i, 0].numpy(), s))
        np.testing.assert_array_equal(masks["mask"][i, 0].numpy(), rolled(mask[i, 0].numpy().astype(int), s) == 1)
    valid = masks["mask"]
    torch.testing.assert_close(main[valid], others["rgb"][:, :1][valid], rtol=0, atol=0)
    assert others["labels"].dtype == torch.long


def test_a_mask_under_subpixel_shift_is_valid_only_where_all_contributions_are():
    mask = torch.from_numpy(np.random.default_rng(3).random((2, 1, H, W)) < 0.8)
    t = Center(SPEC, shift=(0.5, -2.0), integer=False)
    clean = t(mask.double())
    np.testing.assert_array_equal(t.mask(mask).numpy(), clean.numpy() == 1)
    whole = Center(SPEC, shift=(3, -2))
    np.testing.assert_array_equal(whole.mask(mask)[0, 0].numpy(), rolled(mask[0, 0].numpy().astype(int), (3, -2)) == 1)
    labels = torch.arange(H * W).reshape(1, 1, H, W)
    _, others, _ = Center(SPEC, shift=(0.8, -2.0), integer=False).together(mask[:1].double(), {"l": labels}, {})
    np.testing.assert_array_equal(others["l"][0, 0].numpy(), rolled(labels[0, 0].numpy(), (1, -2)))


def test_a_given_shift_moves_down_and_right():
    x = torch.zeros(2, 1, H, W)
    x[:, 0, 5, 6] = 7.0
    y = Center(SPEC, shift=(2, -3))(x)
    assert y[0, 0, 7, 3] == 7
    assert y.sum() == 14
    t = Center(SPEC, shift=(2, -3))
    assert not t.fitted
    assert t.state_dict() == {}
    t.update(x)
    t.finish()


def test_the_shift_of_a_scan_is_fitted_on_the_sum_of_the_patterns():
    x = disks(11)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, :, :, :4] = False
    t = Center(SPEC, per="scan", integer=False)
    assert t.fitted
    t.update(x[:4].float(), mask[:4])
    t.update(x[4:].float(), mask[4:])
    t.finish()
    by = MIDDLE - ndimage.center_of_mass(torch.where(mask, x, 0).sum(0)[0].numpy())
    np.testing.assert_allclose(t.shift.numpy(), by, rtol=1e-5)
    expected = ndimage.shift(x[3, 0].numpy(), by, order=1, mode="grid-constant")
    np.testing.assert_allclose(t(x[3:4])[0, 0].numpy(), expected, atol=1e-4)
    fresh = Center(SPEC, per="scan", integer=False)
    fresh.load_state_dict(t.state_dict())
    torch.testing.assert_close(fresh(x), t(x), rtol=0, atol=0)
    with torch.device("meta"):
        empty = Center(SPEC, per="scan")
    assert empty.shift.is_meta
    empty.update(x)


def test_without_intensity_no_shift_can_be_fitted():
    t = Center(SPEC, per="scan")
    t.update(torch.zeros(3, 1, H, W))
    with pytest.raises(UserError, match="no intensity"):
        t.finish()


def test_mask_alone_cannot_follow_single_patterns():
    with pytest.raises(UserError, match="one by one"):
        Center(SPEC).mask(torch.ones(1, 1, H, W, dtype=torch.bool))


def test_impossible_shifts_are_refused():
    with pytest.raises(UserError, match=r"\[0.5, 1\] is not whole"):
        Center(SPEC, shift=(0.5, 1))
    with pytest.raises(UserError, match="20 x 31"):
        Center(SPEC, shift=(20, 0))
    with pytest.raises(UserError, match="needs images"):
        Center(FieldSpec("spectrum", (30,)))


@pytest.mark.parametrize("integer", [True, False])
def test_gradients_pass_and_shapes_stay(integer):
    point = torch.rand(2, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    t = Center(FieldSpec("input", (1, 6, 5)), shift=(1, -2) if integer else (0.3, -1.2), integer=integer)
    assert torch.autograd.gradcheck(t, (point,))
    assert t(point).shape[1:] == t.out_spec().shape
    assert t(point.detach().to("meta")).shape == point.shape
    assert Center(t.spec)(point.detach().to("meta")).shape == point.shape


def test_the_descan_of_a_real_scan_is_taken_out():
    """Gold on carbon with simulated descan of whole pixels: the direct beam's centre of mass follows it."""
    path = DATA / "au_48.h5"
    if not path.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(path) as f:
        x = torch.from_numpy(f["patterns"][::9].astype(np.float32))[:, None]
        descan = f["descan_px"][::9]
    spec = FieldSpec("input", (1, 128, 128), "uint16", minimum=0)
    y = Center(spec, radius=6)(x)
    y2, x2 = np.mgrid[:128, :128] - 63.5
    beam = torch.from_numpy(y2**2 + x2**2 <= 36)
    expected = [rolled(p[0].numpy(), np.round(63.5 - m)) for p, m in zip(x, masses(x * beam), strict=True)]
    np.testing.assert_array_equal(y[:, 0].numpy(), expected)
    before, after = masses(x * beam), masses(y * beam)
    # Without descan the beam lies on pixel (64, 64), half a pixel off the middle; its place is known to about 0.1.
    assert np.corrcoef(before[:, 0], descan[:, 0])[0, 1] > 0.97
    assert np.corrcoef(before[:, 1], descan[:, 1])[0, 1] > 0.95
    assert (after.std(0) < before.std(0) / 2).all()
    assert np.abs(after - 63.5).mean() < 0.5
    assert (y.sum((1, 2, 3)) <= x.sum((1, 2, 3))).all()
