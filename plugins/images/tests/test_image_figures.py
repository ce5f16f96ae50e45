from __future__ import annotations

import numpy as np
import pytest
from stem_images.drawn import COLOURS, laid_over, limits, pictures
from stem_images.head_examples import labelled, pictured
from stem_images.image_figures import ImageGrid, SegmentationOverlay

from stemcore import UserError


def test_channels_become_colours() -> None:
    images = np.random.default_rng(0).random((2, 5, 4, 3))
    shown = pictures(images, 0.0, 1.0)
    assert shown.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(shown[..., 2], images[:, 2])
    grey = pictures(images[:, :2], 0.0, 2.0)
    for channel in range(3):
        np.testing.assert_allclose(grey[..., channel], images[:, 0] / 2)
    images[0, :, 1, 1] = np.nan
    np.testing.assert_allclose(pictures(images, 0.0, 1.0)[0, 1, 1], 0.5)


def test_black_and_white_are_those_of_the_originals() -> None:
    assert limits(np.array([-3.0, np.nan, 5.0])) == (-3.0, 5.0)
    assert limits(np.full(4, 7.0)) == (0.0, 1.0)


def test_only_classes_are_coloured() -> None:
    shown = laid_over(np.full((1, 4, 3), 0.2), np.array([[-1, 0, 1, 2]]), 1.0)
    np.testing.assert_allclose(shown[0, :2], 0.2)
    expected = [[int(COLOURS[k][i : i + 2], 16) / 255 for i in (1, 3, 5)] for k in (1, 2)]
    np.testing.assert_allclose(shown[0, 2:], expected)


def test_the_error_is_that_of_the_pixels() -> None:
    arrays = pictured()
    drawing = ImageGrid(items=2).draw(arrays["target"], arrays["prediction"], arrays["index"])
    *_, error = [ax for ax in drawing.axes if ax.images and ax.images[0].get_array().ndim == 2]
    expected = np.sqrt(np.square(0.1 * arrays["target"][1]).mean(0))
    np.testing.assert_allclose(error.images[0].get_array(), expected)
    assert [ax.get_title() for ax in drawing.axes[:2]] == ["item 4", "item 8"]


def test_what_is_wrong_is_marked_and_classes_have_their_names() -> None:
    arrays = pictured()
    arrays = {name: arrays[name] for name in ("target", "segmentation", "label_map")}
    arrays["label_map"] = arrays["label_map"].copy()
    arrays["label_map"][0, 0, 0] = -1
    drawing = SegmentationOverlay(items=1).draw(**arrays, spec=labelled(10, 12))
    assert [text.get_text() for text in drawing.legends[0].get_texts()] == ["none", "edge", "core"]
    shown = drawing.axes[3].images[0].get_array()
    plain = drawing.axes[0].images[0].get_array()
    marked = (np.asarray(shown) != np.asarray(plain)).any(-1)
    true = arrays["label_map"][0, 0]
    np.testing.assert_array_equal(marked, (true >= 0) & (arrays["segmentation"][0].argmax(0) != true))


def test_what_cannot_be_drawn_is_said() -> None:
    arrays = pictured()
    with pytest.raises(UserError, match="draws images"):
        ImageGrid().draw(np.zeros((3, 9)), np.zeros((3, 9)))
    with pytest.raises(UserError, match="no image to draw"):
        ImageGrid().draw(arrays["target"][:0], arrays["prediction"][:0])
    with pytest.raises(UserError, match="do not fit"):
        SegmentationOverlay().draw(arrays["target"], arrays["segmentation"][..., :5], arrays["label_map"])
