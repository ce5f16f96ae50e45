from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from stem_figures.projection import Projection

from stemcore import DataSpec, FieldSpec, UserError

SPEC = DataSpec({"subtype": FieldSpec("subtype", (), "int64", classes=("basal", "luminal"))})


@pytest.fixture
def latents():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(6)[:2] * 20, 30, axis=0)
    return centres + rng.normal(size=(60, 6)), centres + rng.normal(size=(60, 6))


def points(axes):
    return np.concatenate([np.asarray(drawn.get_offsets()) for drawn in axes.collections])


def test_two_encoders_are_projected_together(latents):
    first, other = latents
    drawing = Projection(names=("mrna", "protein")).draw(first, SPEC, other)
    (axes,) = drawing.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mrna", "protein"]
    expected = PCA(2).fit_transform(np.concatenate(latents))
    np.testing.assert_allclose(np.abs(points(axes)), np.abs(expected), atol=1e-9)


def test_labels_are_named_by_their_classes_and_unknown_ones_are_too(latents):
    label = np.repeat([0, 1, -1], 20)
    drawing = Projection(field="subtype").draw(latents[0], SPEC, None, label)
    legend = drawing.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["unknown", "basal", "luminal"]
    assert legend.get_title().get_text() == "subtype"
    basal = drawing.axes[0].collections[1]
    expected = PCA(2).fit_transform(latents[0])[label == 0]
    np.testing.assert_allclose(np.abs(basal.get_offsets()), np.abs(expected), atol=1e-9)


def test_numbers_have_a_colour_scale(latents):
    age = np.linspace(30, 80, 60)
    drawing = Projection(field="age").draw(latents[0], SPEC, latents[1], age)
    np.testing.assert_allclose(drawing.axes[1].collections[0].get_array(), np.tile(age, 2))


def test_umap_keeps_clusters_apart_and_is_the_same_every_time(latents):
    pytest.importorskip("umap", reason="needs umap-learn")
    drawn = [points(Projection(method="umap").draw(latents[0], SPEC).axes[0]) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    assert silhouette_score(drawn[0], np.repeat([0, 1], 30)) > 0.7


def test_umap_that_is_not_there_is_named(latents, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match="needs umap-learn") as error:
        Projection(method="umap").draw(latents[0], SPEC)
    assert "stemcore[umap]" in str(error.value)
