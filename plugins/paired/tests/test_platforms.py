from __future__ import annotations

import pytest
from stem_paired.platforms import widths_of

from stemcore import DataSpec, FieldSpec, UserError


def test_widths_are_those_of_the_features():
    spec = DataSpec({n: FieldSpec(n, (w,)) for n, w in (("input_a", 3), ("input_b", 8), ("label", 1))})
    assert widths_of(spec) == {"a": 3, "b": 8}


@pytest.mark.parametrize(
    "fields",
    [
        {"input": FieldSpec("input", (1, 8, 8))},
        {"input_a": FieldSpec("input_a", (3,))},
        {"input_a": FieldSpec("input_a", (3,)), "input_b": FieldSpec("input_b", (3, 2))},
        {"input_a": FieldSpec("input_a", (None,)), "input_b": FieldSpec("input_b", (3,))},
    ],
)
def test_other_data_are_refused_with_what_there_is(fields: dict[str, FieldSpec]):
    with pytest.raises(UserError, match=r"need the fields input_a and input_b.*the data have input") as error:
        widths_of(DataSpec(fields))
    assert "paired_tables" in error.value.problems[0].hint


def test_missing_values_are_refused_with_the_transform_that_fills_them():
    fields = {"input_a": FieldSpec("input_a", (3,)), "input_b": FieldSpec("input_b", (3,), finite=False)}
    with pytest.raises(UserError) as error:
        widths_of(DataSpec(fields))
    problem = error.value.problems[0]
    assert (problem.where, problem.hint) == ("data.transforms.input_b", "begin its transforms with {type: impute}")
