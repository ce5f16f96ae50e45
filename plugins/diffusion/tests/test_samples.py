"""Samples drawn while a model trains."""

from __future__ import annotations

import pytest
from stem_diffusion.mlp import DiffusionMlp
from stem_diffusion.samples import Samples

from stemcore import DataSpec, FieldSpec, State, UserError

FIELDS = DataSpec({"input": FieldSpec("input", (2,)), "label": FieldSpec("label", (), "int64", classes=("a", "b"))})


@pytest.mark.parametrize(
    ("conditions", "message"),
    [({"labl": [0.0]}, "knows no condition 'labl'"), ({"label": [7.0]}, "knows the classes 0 to 1, not 7")],
)
def test_conditions_that_do_not_fit_are_refused_by_their_key(tmp_path, conditions, message) -> None:
    model = DiffusionMlp(FIELDS, hidden=8, layers=1, timesteps=4, conditions=["label"])
    with pytest.raises(UserError, match=rf"^callbacks\.samples\.conditions: the model {message}"):
        Samples(n=2, conditions=conditions).on_fit_start(State(model, tmp_path, 1, 1))
