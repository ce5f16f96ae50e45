from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stem_images.fitting import LUMA, nearest, resized, window_of, with_channels

from stemcore import UserError

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_halving_is_the_triangle_filter(dtype: str) -> None:
    x = (RNG.random((2, 12, 16)) * 200).astype(dtype)
    found = resized(x, window_of((12, 16), (6, 8), crop=False))
    assert (found.dtype, found.shape) == (x.dtype, (2, 6, 8))
    # Twice as wide as a pixel, a triangle weighs the four pixels about the middle of two by 1, 3, 3, 1.
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="constant")
    counts = np.pad(np.ones((12, 16)), 1)
    weight = np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    expected = np.zeros((2, 6, 8))
    for i in range(6):
        for j in range(8):
            part, there = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4], counts[2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            expected[:, i, j] = (part * weight).sum(axis=(1, 2)) / (there * weight).sum()
    atol = 1e-4 if dtype == "float32" else 0.5 + 1e-4
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


def test_colours_are_resized_as_pillow_resizes_them() -> None:
    x = RNG.integers(0, 256, (3, 30, 41), np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(x, 0, -1)))
    for size, crop in (((12, 17), False), ((16, 16), True), ((50, 33), False)):
        window = window_of((30, 41), size, crop)
        box = (window.left, window.top, window.left + window.width, window.top + window.height)
        expected = np.moveaxis(np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR, box)), -1, 0)
        assert np.abs(resized(x, window).astype(int) - expected).max() <= 1


def test_a_crop_takes_the_middle() -> None:
    x = RNG.integers(0, 256, (1, 9, 16), np.uint8)
    # Nothing is enlarged or reduced: pixels stay what they are.
    assert np.array_equal(resized(x, window_of((9, 16), (9, 9), crop=True)), x[:, :, 3:12])
    assert np.array_equal(nearest(x[0], window_of((9, 16), (9, 9), crop=True)), x[0, :, 3:12])
    window = window_of((40, 100), (10, 20), crop=True)
    assert (window.top, window.left, window.height, window.width) == (0, 10, 40, 80)


def test_labels_are_those_under_the_middle_of_each_pixel() -> None:
    labels = RNG.integers(-1, 5, (30, 41))
    for size, crop in (((12, 17), False), ((16, 16), True), ((50, 33), False), ((30, 41), False)):
        window = window_of((30, 41), size, crop)
        box = (window.left, window.top, window.left + window.width, window.top + window.height)
        image = Image.fromarray(labels.astype(np.int32))
        expected = np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST, box))
        assert np.array_equal(nearest(labels, window), expected)


def test_an_image_and_its_mask_stay_on_each_other() -> None:
    row, column = np.indices((90, 60))
    disc = (row - 50) ** 2 + (column - 25) ** 2 < 15**2
    for size, crop in (((45, 30), False), ((32, 32), True), ((20, 50), False), ((120, 100), True)):
        window = window_of((90, 60), size, crop)
        image = resized(disc[None].astype(np.float32), window)[0]
        assert (nearest(disc.astype(int), window) == (image > 0.5)).mean() > 0.98


def test_grey_and_colour() -> None:
    x = RNG.integers(0, 256, (3, 4, 5), np.uint8)
    grey = with_channels(x, 1, alpha=False)
    expected = np.rint(np.einsum("c,chw->hw", LUMA, x.astype(np.float64)))[None]
    assert grey.dtype == np.uint8
    assert np.array_equal(grey, expected)
    pillow = np.asarray(Image.fromarray(np.ascontiguousarray(np.moveaxis(x, 0, -1))).convert("L"))
    assert np.abs(pillow.astype(int) - grey[0]).max() <= 1
    assert np.array_equal(with_channels(grey, 3, alpha=False), np.repeat(grey, 3, axis=0))
    assert with_channels(x, 3, alpha=False) is x


def test_transparent_pixels_show_the_background() -> None:
    x = RNG.integers(0, 256, (4, 6, 5), np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(x, 0, -1)))
    behind = Image.new("RGBA", image.size, (10, 200, 90, 255))
    expected = np.moveaxis(np.asarray(Image.alpha_composite(behind, image))[..., :3], -1, 0)
    found = with_channels(x, 3, alpha=True, background=(10, 200, 90))
    assert np.abs(found.astype(int) - expected).max() <= 1
    with pytest.raises(UserError, match="transparent pixels; set background"):
        with_channels(x, 3, alpha=True)
    x[3] = 255
    assert np.array_equal(with_channels(x, 3, alpha=True), x[:3])
    assert np.array_equal(with_channels(x[2:], 1, alpha=True), x[2:3])
    with pytest.raises(UserError, match="4 channels, which do not become 3"):
        with_channels(x, 3, alpha=False)
