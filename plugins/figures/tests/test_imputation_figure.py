from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from stem_figures.imputation import Imputation, feature_correlations

from stemcore import DataSpec, FieldSpec, UserError


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(40, 7)) + 100
    prediction = target + rng.normal(size=target.shape) * [0, 5, 1, 2, 0.5, 3, 0.1]
    known = rng.random(target.shape) < 0.7
    return prediction, target, known


def draw(prediction, target, mask=None, **config):
    names = tuple("ABCDEFG")
    spec = DataSpec({"input_b": FieldSpec("input_b", (7,), features=names)})
    return Imputation(field="input_b", **config).draw(prediction, target, spec, mask)


def test_correlations_are_pearsons_over_the_measured_values(table):
    prediction, target, known = table
    target[~known] = np.nan
    expected = [pearsonr(prediction[k, i], target[k, i])[0] for i, k in enumerate(known.T)]
    np.testing.assert_allclose(feature_correlations(prediction, target, known), expected)


def test_features_without_spread_or_with_two_values_have_none(table):
    prediction, target, known = table
    target[:, 0], prediction[:, 1], known[2:, 2] = 3.0, 0.0, False
    assert np.isnan(feature_correlations(prediction, target, known)[:3]).all()
    assert np.isfinite(feature_correlations(prediction, target, known)[3:]).all()


def test_best_median_and_worst_features_are_drawn_by_name(table):
    prediction, target, known = table
    r = feature_correlations(prediction, target, known)
    order = np.argsort(-r)
    drawing = draw(prediction, target, known)
    titles = [axes.get_title() for axes in drawing.axes]
    for title, place, word in zip(titles, (0, 3, 6), ("best", "median", "worst"), strict=False):
        assert title == f"{word}: {'ABCDEFG'[order[place]]}\nr = {r[order[place]]:.3f}"
    points = drawing.axes[0].collections[0].get_offsets()
    best = order[0]
    np.testing.assert_allclose(points[:, 0], target[known[:, best], best])
    np.testing.assert_allclose(points[:, 1], prediction[known[:, best], best])
    counts = [patch.get_height() for patch in drawing.axes[-1].patches]
    assert sum(counts) == 7


def test_nothing_to_draw_is_said(table):
    prediction, target, _ = table
    with pytest.raises(UserError, match="no feature has enough different values"):
        draw(prediction, np.ones_like(target))
