from __future__ import annotations

import numpy as np
import pytest
from stem_paired.imputation import _refuse_missing
from stem_paired.tables import Table

from stemcore import UserError

SAMPLES = Table(("A", "B", "C"), ("g", "h"), np.array([[1, 2], [np.nan, 3], [4, 5]], np.float32))


def test_samples_that_nothing_comes_of_are_named_with_the_reason():
    found = np.array([[1.0], [np.nan], [2]])
    with pytest.raises(
        UserError, match=r"nothing finite comes of 1 samples \(B\); values are missing, and the run fills"
    ):
        _refuse_missing(SAMPLES, found, "input_a")
    whole = Table(SAMPLES.ids, SAMPLES.features, np.nan_to_num(SAMPLES.values))
    with pytest.raises(UserError, match=r"1 samples \(C\); their values are far from those"):
        _refuse_missing(whole, np.array([[1.0], [1], [np.inf]]), "input_a")


def test_finite_values_pass():
    _refuse_missing(SAMPLES, np.ones((3, 1)), "input_a")
