from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from stem_transforms.grid_transforms import Bin, Crop, Resize

from stemcore import FieldSpec, UserError

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem"


def spec(h, w, **kw):
    return FieldSpec("input", (1, h, w), "uint16", "counts", minimum=0, **kw)


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).poisson(4.0, (3, 1, 12, 15)).astype(np.float32))


EVERY = [
    Crop(spec(12, 15), size=6),
    Crop(spec(12, 15), size=(5, 8), offset=(7, 0)),
    Bin(spec(12, 15), factor=3),
    Bin(spec(12, 15), factor=(4, 2), crop_remainder=True),
    Resize(spec(12, 15), size=(6, 5)),
    Resize(spec(12, 15), size=20, preserve_sum=True),
]


@pytest.mark.parametrize("t", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_static_shape_is_the_actual_one(t, dtype, images):
    y = t(images.to(dtype))
    assert y.shape[1:] == t.out_spec().shape
    assert y.dtype == dtype
    mask = t.mask(torch.ones_like(images, dtype=torch.bool))
    assert mask.shape == y.shape
    assert mask.dtype == torch.bool
    assert mask.all()
    assert not t.mask(torch.zeros_like(images, dtype=torch.bool)).any()
    assert t.kind == "geometry"
    assert not t.fitted
    torch.testing.assert_close(t.inverse(y), y, rtol=0, atol=0)
    assert t(images[:1].expand(1, 3, 12, 15)).shape == (1, 3, *y.shape[-2:])
    assert t(images.to("meta")).shape == y.shape
    point = torch.rand(1, 1, 12, 15, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(t, (point,))


@pytest.mark.parametrize("t", EVERY)
def test_integers_and_truth_values_can_come_along(t, images):
    assert t(images.long()).shape == t(images).shape
    assert t(images.long()).dtype == torch.long


def test_crop_takes_the_middle_or_the_offset(images):
    x = images.numpy()
    np.testing.assert_array_equal(Crop(spec(12, 15), size=(6, 5))(images).numpy(), x[..., 3:9, 5:10])
    np.testing.assert_array_equal(Crop(spec(12, 15), size=(5, 4))(images).numpy(), x[..., 3:8, 5:9])
    offset = Crop(spec(12, 15), size=(5, 8), offset=(7, 0))
    np.testing.assert_array_equal(offset(images).numpy(), x[..., 7:, :8])
    mask = images > 3
    np.testing.assert_array_equal(offset.mask(mask).numpy(), mask.numpy()[..., 7:, :8])


def test_crop_refuses_a_window_beyond_the_pattern():
    with pytest.raises(UserError, match="13 x 5 pixels does not lie within the 12 x 15 pixels of 'input'"):
        Crop(spec(12, 15), size=(13, 5))
    with pytest.raises(UserError, match=r"6 x 6 pixels at offset \[7, 0\] does not lie within"):
        Crop(spec(12, 15), size=6, offset=(7, 0))
    varying = Crop(spec(None, None), size=6, offset=(7, 0))
    assert varying.out_spec().shape == (1, 6, 6)
    assert varying(torch.zeros(1, 1, 20, 9)).shape == (1, 1, 6, 6)
    with pytest.raises(UserError, match="12 x 15"):
        varying(torch.zeros(1, 1, 12, 15))


def test_bin_sums_and_masks_blocks(images):
    x = images.numpy().astype(np.float64)
    t = Bin(spec(12, 15), factor=(4, 3))
    np.testing.assert_array_equal(t(images).numpy(), x.reshape(3, 1, 3, 4, 5, 3).sum((3, 5)))
    np.testing.assert_array_equal(t(images.long()).numpy(), x.reshape(3, 1, 3, 4, 5, 3).sum((3, 5)))
    mask = torch.from_numpy(np.random.default_rng(1).random(x.shape) < 0.9)
    np.testing.assert_array_equal(t.mask(mask).numpy(), mask.numpy().reshape(3, 1, 3, 4, 5, 3).all((3, 5)))


def test_bin_leaves_a_remainder_out_at_both_edges(images):
    x = images.numpy()[..., 1:11, 0:14]
    t = Bin(spec(12, 15), factor=(5, 7), crop_remainder=True)
    np.testing.assert_array_equal(t(images).numpy(), x.reshape(3, 1, 2, 5, 2, 7).sum((3, 5)))
    assert t.out_spec().shape == (1, 2, 2)


def test_bin_refuses_a_remainder_and_says_the_sizes():
    with pytest.raises(UserError, match="width of 'input', 15 pixels, is no multiple of the factor 2; set crop_rem"):
        Bin(spec(12, 15))
    with pytest.raises(UserError, match="height of 'input', 12 pixels, is less than the factor 13"):
        Bin(spec(12, 15), factor=13, crop_remainder=True)
    with pytest.raises(UserError, match="needs images"):
        Bin(FieldSpec("spectrum", (30,)))
    assert Bin(spec(None, 16)).out_spec().shape == (1, None, 8)


def test_bin_sums_the_smallest_valid_value():
    assert Bin(spec(12, 15), factor=3).out_spec().minimum == 0
    assert Bin(FieldSpec("input", (1, 4, 4), minimum=-2.0)).out_spec().minimum == -8
    assert Bin(FieldSpec("input", (1, 4, 4))).out_spec().minimum is None


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_bin_is_exact_on_real_patterns(factor):
    path = DATA / "ws2_wse2_64.h5"
    if not path.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(path) as f:
        counts = f["patterns"][:32]
    n = 128 // factor
    exact = counts.astype(np.int64).reshape(32, n, factor, n, factor).sum((2, 4))
    t = Bin(spec(128, 128), factor=factor)
    binned = t(torch.from_numpy(counts.astype(np.float32))[:, None])
    np.testing.assert_array_equal(binned[:, 0].numpy(), exact)
    full = torch.full((1, 1, 128, 128), 65535.0)
    assert (t(full) == 65535 * factor**2).all()


def triangle_weights(n, size):
    """Antialiased bilinear weights: a triangle as wide as an output pixel, normalised, by its definition."""
    scale = max(n / size, 1.0)
    middle = (np.arange(size) + 0.5) * n / size
    w = np.clip(1 - np.abs((np.arange(n) + 0.5 - middle[:, None]) / scale), 0, None)
    return w / w.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(6, 5), (5, 11), (12, 15), (24, 7)])
def test_resize_is_antialiased_bilinear(size, images):
    wy, wx = triangle_weights(12, size[0]), triangle_weights(15, size[1])
    expected = wy @ images.numpy().astype(np.float64) @ wx.T
    t = Resize(spec(12, 15), size=size)
    np.testing.assert_allclose(t(images.double()).numpy(), expected, atol=1e-6)
    torch.testing.assert_close(t(torch.full((1, 1, 12, 15), 3.0)), torch.full((1, 1, *size), 3.0))
    scaled = Resize(spec(12, 15), size=size, preserve_sum=True)(images.double())
    np.testing.assert_allclose(scaled.numpy(), expected * 180 / np.prod(size), atol=1e-5)


def test_resize_keeps_the_sum_of_real_patterns():
    path = DATA / "au_48.h5"
    if not path.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(path) as f:
        x = torch.from_numpy(f["patterns"][:32].astype(np.float64))[:, None]
    for size in (64, 100, 200):
        y = Resize(spec(128, 128), size=size, preserve_sum=True)(x)
        np.testing.assert_allclose(y.sum((1, 2, 3)).numpy(), x.sum((1, 2, 3)).numpy(), rtol=0.02)


@pytest.mark.parametrize("size", [(6, 5), (5, 11), (24, 30)])
def test_resize_makes_invalid_all_that_an_invalid_pixel_touches(size):
    mask = torch.ones(1, 1, 12, 15, dtype=torch.bool)
    mask[0, 0, 4, 7] = mask[0, 0, 11, 0] = False
    touched = triangle_weights(12, size[0]) @ (~mask[0, 0].numpy()).astype(float) @ triangle_weights(15, size[1]).T
    np.testing.assert_array_equal(Resize(spec(12, 15), size=size).mask(mask)[0, 0].numpy(), touched < 1e-6)


def test_resize_takes_labels_from_the_nearest_pixel():
    labels = torch.arange(6).reshape(1, 1, 1, 6).expand(1, 1, 4, 6)
    t = Resize(spec(4, 6), size=(2, 3))
    assert t(labels)[0, 0].tolist() == [[1, 3, 5]] * 2
    up = Resize(spec(4, 6), size=(4, 12))(labels)
    assert up[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert t(labels % 2 == 0).dtype == torch.bool


@pytest.mark.parametrize("t", EVERY)
def test_nothing_is_state(t):
    assert t.state_dict() == {}
