from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from stem_figures.reconstruction import Reconstruction, best_median_worst, images, intensity_scale, root_error

from stemcore import UserError

SCAN = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem" / "au_48.h5"


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 4.0, (12, 1, 16, 20))
    return rng.poisson(rate).astype(float), rate * rng.uniform(0.7, 1.3, (12, 1, 1, 1)), rate


def draw(*arrays, **named):
    drawing = Reconstruction().draw(*arrays, **named)
    file = io.BytesIO()
    drawing.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
    return drawing


def shown(drawing, columns):
    """The images drawn, by row and column, and the rows' labels."""
    axes = [a for a in drawing.axes if a.get_subplotspec() is not None]
    grid = [axes[i : i + columns] for i in range(0, len(axes), columns)]
    arrays = [[a.images[0].get_array() if a.images else None for a in row] for row in grid]
    return arrays, [row[0].get_ylabel() for row in grid], [a.get_title() for a in grid[0]], grid


def test_images_are_the_best_median_and_worst_as_given(data):
    target, prediction, _ = data
    errors = np.mean((np.sqrt(target) - np.sqrt(prediction)) ** 2, axis=(1, 2, 3))
    order = np.argsort(errors)
    arrays, labels, titles, _ = shown(draw(target, prediction, np.arange(100, 112)), 3)
    assert titles == ["input", "reconstruction", "√reconstruction − √input"]
    for row, label, rank, item in zip(arrays, labels, ("best", "median", "worst"), order[[0, 6, 11]], strict=True):
        assert np.array_equal(row[0], target[item, 0])
        assert np.array_equal(row[1], prediction[item, 0])
        assert np.allclose(row[2], np.sqrt(prediction[item, 0]) - np.sqrt(target[item, 0]))
        assert label == f"{rank}: item {100 + item}\nerror {errors[item]:.3g}"


def test_scales_are_shared_logarithmic_and_symmetric(data):
    grid = shown(draw(*data[:2]), 3)[3]
    for row in grid:
        scales = [a.images[0].norm for a in row]
        assert scales[0] is scales[1]
        assert type(scales[0]).__name__ == "LogNorm"
        assert scales[2].vmin == -scales[2].vmax < 0


def test_truth_is_shown_where_it_is_known(data):
    target, prediction, rate = data
    expected = np.full_like(rate, np.nan)
    expected[[2, 5, 7, 9]] = rate[[2, 5, 7, 9]]
    arrays, labels, titles, _ = shown(draw(target, prediction, expected=expected), 4)
    assert titles[2] == "truth"
    items = [int(label.split("item ")[1].split("\n")[0]) for label in labels]
    assert set(items) <= {2, 5, 7, 9}
    for row, label, item in zip(arrays, labels, items, strict=True):
        assert np.array_equal(row[2], rate[item, 0])
        to_truth = np.mean((np.sqrt(prediction[item]) - np.sqrt(rate[item])) ** 2)
        assert label.endswith(f"to truth {to_truth:.3g}")


def test_truth_of_few_does_not_choose_the_patterns(data):
    target, prediction, rate = data
    errors = root_error(prediction[:, 0], target[:, 0])
    expected = np.full_like(rate, np.nan)
    expected[errors.argmin()] = rate[errors.argmin()]
    arrays, _, titles, _ = shown(draw(target, prediction, expected=expected), 4)
    assert titles[2] == "truth"
    assert [row[2] is not None for row in arrays] == [True, False, False]
    nowhere = shown(draw(target, prediction, expected=np.full_like(rate, np.nan)), 3)
    assert "truth" not in nowhere[2]


@pytest.mark.parametrize("items", [1, 2, 3])
def test_few_items(data, items):
    _, labels, _, _ = shown(draw(*(x[:items] for x in data[:2])), 3)
    assert [label.split(":")[0] for label in labels] == [["only item"], ["best", "worst"], ["best", "median", "worst"]][
        items - 1
    ]


@pytest.mark.parametrize("value", [0.0, 5.0, -1.0, np.nan, np.inf])
def test_constant_and_broken_images(value):
    ones, values = np.ones((3, 1, 8, 8)), np.full((3, 1, 8, 8), value)
    draw(values, values)
    for target, prediction in ((values, ones), (ones, values)):
        drawing = Reconstruction().draw(target, prediction)
        drawing.set_layout_engine("none")  # which takes as long as all the rest
        drawing.savefig(io.BytesIO())


def test_a_broken_prediction_is_the_worst():
    errors = np.array([0.3, np.nan, 0.1, 0.2])
    assert best_median_worst(errors, np.ones(4, dtype=bool)) == {"best": 2, "median": 0, "worst": 1}


def test_spectra_and_channels():
    arrays, *_ = shown(draw(np.ones((2, 30)), np.ones((2, 30))), 3)
    assert arrays[0][0].shape == (1, 30)
    cube = np.random.default_rng(0).random((2, 5, 4, 6))
    assert np.allclose(images(cube), cube.mean(1))


def test_nothing_to_draw():
    with pytest.raises(UserError, match="no pattern"):
        draw(np.ones((0, 1, 4, 4)), np.ones((0, 1, 4, 4)))


def test_scale_of_real_counts_reaches_below_one_electron():
    if not SCAN.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(SCAN) as file:
        counts = file["patterns"][:16].astype(float)
    mean = np.broadcast_to(counts.mean(0), counts.shape)
    scale = intensity_scale(counts[0], mean[0])
    assert scale.vmax == max(counts[0].max(), mean[0].max())
    assert scale.vmax / 1e5 <= scale.vmin < 1
    draw(counts, mean)
