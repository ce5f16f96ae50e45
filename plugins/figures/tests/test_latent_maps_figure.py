from __future__ import annotations

import io

import numpy as np
import pytest
from sklearn.decomposition import PCA
from stem_figures.latent_maps import LatentMaps, colours_of, principal_components

from stemcore import DataSpec, UserError


@pytest.fixture
def latent():
    rng = np.random.default_rng(0)
    return rng.normal(size=(35, 6)) * [1, 5, 2, 4, 3, 0.5] + 7


def draw(latent, scan_shape=(5, 7), **config):
    drawing = LatentMaps(**config).draw(latent, DataSpec({}, scan_shape=scan_shape))
    file = io.BytesIO()
    drawing.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
    return drawing


def maps(drawing):
    return {a.get_title(): a.images[0].get_array() for a in drawing.axes if a.images}


def test_maps_are_the_latents_over_the_scan(latent):
    found = maps(draw(latent))
    order = np.argsort(-latent.var(0))
    assert list(found) == ["PC 1, 2, 3 as RGB", *(f"latent {i}" for i in order)]
    for i in order:
        assert np.array_equal(found[f"latent {i}"], latent[:, i].reshape(5, 7))


def test_maximum_keeps_those_that_vary_most(latent):
    drawing = draw(latent, maximum=2)
    order = np.argsort(-latent.var(0))
    assert list(maps(drawing))[1:] == [f"latent {i}" for i in order[:2]]
    assert "2 of 6" in drawing.get_suptitle()


def test_colours_are_the_principal_components(latent):
    scores, shares = principal_components(latent, 3)
    reference = PCA(3).fit(latent)
    assert np.allclose(np.abs(scores), np.abs(reference.transform(latent)))
    assert np.allclose(shares, reference.explained_variance_ratio_)
    assert (scores.max(0) >= -scores.min(0)).all()
    picture = maps(draw(latent))["PC 1, 2, 3 as RGB"]
    assert picture.shape == (5, 7, 3)
    assert np.allclose(picture, colours_of(scores).reshape(5, 7, 3))
    middle = (scores > np.percentile(scores, 5, axis=0)) & (scores < np.percentile(scores, 95, axis=0))
    for channel in range(3):
        kept = middle[:, channel]
        assert np.corrcoef(picture.reshape(-1, 3)[kept, channel], scores[kept, channel])[0, 1] > 0.999


@pytest.mark.parametrize("scan_shape", [None, (5, 8), (35,), (5, 7, 1)])
def test_points_without_a_whole_scan(latent, scan_shape):
    (axes,) = draw(latent, scan_shape).axes
    points = np.asarray(axes.collections[0].get_offsets())
    assert np.allclose(points, principal_components(latent, 2)[0])
    assert "principal component 1" in axes.get_xlabel()


def test_latents_with_more_axes_are_flattened():
    latent = np.random.default_rng(1).random((4, 2, 3))
    found = maps(draw(latent, (2, 2)))
    assert len(found) == 7
    assert np.array_equal(found["latent 4"], latent[:, 1, 1].reshape(2, 2))


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
@pytest.mark.parametrize("scan_shape", [(5, 7), None])
def test_constant_and_broken_latents(latent, value, scan_shape):
    draw(np.full((35, 4), value), scan_shape)
    latent[3, 2] = value
    drawing = LatentMaps().draw(latent, DataSpec({}, scan_shape=scan_shape))
    drawing.set_layout_engine("none")  # which takes as long as all the rest
    drawing.savefig(io.BytesIO())
    assert draw(np.full((1, 1), value), (1, 1) if scan_shape else None)


def test_broken_items_do_not_spoil_the_components(latent):
    scores, _ = principal_components(np.concatenate([latent, np.full((1, 6), np.nan)]), 3)
    assert np.allclose(scores[:-1], principal_components(latent, 3)[0])
    assert (scores[-1] == 0).all()


def test_nothing_to_draw():
    with pytest.raises(UserError, match="no latent"):
        draw(np.ones((0, 4)))
