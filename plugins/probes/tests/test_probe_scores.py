from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from stem_probes.probing import Said
from stem_probes.scores import confusion, of_classes, of_numbers, over_draws


def test_classes_are_scored_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 4, (2, 200))
    found = of_classes(true, Said(predicted), ("a", "b", "c", "d"))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(true, predicted, average="macro"))
    assert "auroc" not in found
    for k, name in enumerate("abcd"):
        assert found["classes"][name] == pytest.approx(
            {
                "precision": metrics.precision_score(true == k, predicted == k),
                "recall": metrics.recall_score(true == k, predicted == k),
                "f1": metrics.f1_score(true == k, predicted == k),
            }
        )
    np.testing.assert_array_equal(confusion(true, predicted, 4), metrics.confusion_matrix(true, predicted))


def test_two_classes_have_an_area_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 50)
    score = rng.random(50) + 0.3 * true
    found = of_classes(true, Said((score > 0.5).astype(int), score), ("no", "yes"))
    pairs = score[true == 1][:, None] > score[true == 0][None]
    assert found["auroc"] == pytest.approx(pairs.mean())


def test_a_class_that_is_not_scored_has_no_scores() -> None:
    found = of_classes(np.array([0, 0, 1]), Said(np.array([0, 2, 1])), ("a", "b", "c"))
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    assert np.isnan(list(found["classes"]["c"].values())).all()
    assert over_draws([found])["classes"]["c"]["recall"] == {"mean": None, "std": None}


def test_numbers_are_scored_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 30, 3))
    found = of_numbers(true, Said(predicted), ("x", "y", "z"))
    assert found["r2"] == pytest.approx(metrics.r2_score(true, predicted))
    assert found["rmse"] == pytest.approx(np.sqrt(metrics.mean_squared_error(true, predicted)))
    assert found["targets"]["y"]["r2"] == pytest.approx(metrics.r2_score(true[:, 1], predicted[:, 1]))
    assert found["targets"]["y"]["rmse"] == pytest.approx(np.sqrt(((true - predicted)[:, 1] ** 2).mean()))


def test_over_draws() -> None:
    found = over_draws([{"a": v, "each": {"x": {"f1": f}}} for v, f in ((0.5, 1.0), (0.7, np.nan), (0.9, 0.0))])
    assert found["a"] == pytest.approx({"mean": 0.7, "std": 0.2})
    assert found["each"]["x"]["f1"] == pytest.approx({"mean": 0.5, "std": np.sqrt(0.5)})
    assert over_draws([{"a": 0.5}]) == {"a": {"mean": 0.5, "std": None}}
