from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score
from stem_diffusion.agreement import Agreement, fits, line


def test_it_is_what_scikit_learn_counts_over_all_samples_without_pixels_of_no_class() -> None:
    rng = np.random.default_rng(0)
    given, seen = rng.integers(-1, 3, (10, 1, 7, 5)), rng.integers(0, 3, (10, 7, 5)).astype(np.uint8)
    agreement = Agreement(["ground", "cell", "rim"])
    for first in (0, 6):
        agreement.add(given[first : first + 6], seen[first : first + 6])
    counted = given.ravel() >= 0
    true, guess = given.ravel()[counted], seen.ravel()[counted]
    found = agreement.document()
    assert found["accuracy"] == pytest.approx(accuracy_score(true, guess))
    np.testing.assert_allclose(list(found["iou"].values()), jaccard_score(true, guess, average=None))
    assert found["miou"] == pytest.approx(jaccard_score(true, guess, average="macro"))
    assert line(found).startswith(f"given and seen classes agree in {found['accuracy']:.1%} of the pixels; IoU ground ")


def test_a_class_that_does_not_occur_is_left_out() -> None:
    agreement = Agreement(["ground", "cell", "rim"])
    assert agreement.document()["accuracy"] is None
    agreement.add(np.array([[[0, 1, -1]]]), np.array([[[0, 0, 1]]]))
    assert agreement.document() == {
        "accuracy": 0.5,
        "miou": 0.25,
        "iou": {"ground": 0.5, "cell": 0.0, "rim": None},
    }
    assert "rim" not in line(agreement.document())


def test_what_cannot_be_compared_is_not() -> None:
    given, seen = np.zeros((1, 1, 4, 4)), np.ones((1, 4, 4), np.uint8)
    assert fits(given, seen, ["a", "b"])
    assert not fits(given, seen, ["a"])
    assert not fits(given[..., :3], seen, ["a", "b"])
    assert not fits(given, seen, [])
