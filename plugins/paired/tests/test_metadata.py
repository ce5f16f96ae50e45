from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from stem_paired.metadata import read_metadata, scalar_fields

from stemcore import UserError

TEXT = "sample_id,age,Tumour stage,site\n01,63.5,II,left\n02,,I,NA\n03,41,II,right\n"


def test_numbers_become_float32_and_texts_codes_of_sorted_names(tmp_path):
    (tmp_path / "m.csv").write_text(TEXT)
    fields = scalar_fields(read_metadata(tmp_path / "m.csv"))
    specs = {name: (spec.shape, spec.dtype, spec.classes, spec.finite) for name, (spec, _) in fields.items()}
    assert specs == {
        "age": ((), "float32", (), False),
        "Tumour_stage": ((), "int64", ("I", "II"), True),
        "site": ((), "int64", ("left", "right"), True),
    }
    np.testing.assert_array_equal(fields["age"][1], np.array([63.5, np.nan, 41], np.float32))
    assert fields["Tumour_stage"][1].tolist() == [1, 0, 1]
    assert fields["site"][1].tolist() == [0, -1, 1]


def test_samples_without_a_row_are_missing(tmp_path):
    (tmp_path / "m.csv").write_text(TEXT)
    mine, absent = read_metadata(tmp_path / "m.csv").of(["03", "09", "01"])
    fields = scalar_fields(mine)
    assert absent == ["09"]
    np.testing.assert_array_equal(fields["age"][1], np.array([41, np.nan, 63.5], np.float32))
    assert fields["site"][1].tolist() == [1, -1, 0]


def test_parquet_and_text_say_the_same(tmp_path):
    (tmp_path / "m.csv").write_text(TEXT)
    frame = pd.DataFrame(
        {"sample_id": ["01", "02", "03"], "age": [63.5, None, 41], "Tumour stage": ["II", "I", "II"]}
    ).assign(site=pd.Categorical(["left", None, "right"]))
    frame.to_parquet(tmp_path / "m.parquet")
    text, parquet = (scalar_fields(read_metadata(tmp_path / name)) for name in ("m.csv", "m.parquet"))
    assert list(text) == list(parquet)
    for name, (spec, values) in text.items():
        assert parquet[name][0] == spec
        np.testing.assert_array_equal(parquet[name][1], values)


@pytest.mark.parametrize("taken", ["input_a", "mask_b", "target", "target_a", "index", "model", "history"])
def test_names_that_are_taken_are_refused(tmp_path, taken):
    (tmp_path / "m.csv").write_text(f"id,{taken}\nA,1\n")
    with pytest.raises(UserError, match=f"the name of column '{taken}' is taken"):
        scalar_fields(read_metadata(tmp_path / "m.csv"))


def test_names_that_become_the_same_are_refused(tmp_path):
    (tmp_path / "m.csv").write_text("id,stage (I),stage_(I)\nA,1,2\n")
    with pytest.raises(UserError, match=r"the name of column 'stage_\(I\)' is already that of another column"):
        scalar_fields(read_metadata(tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,x\nA,1\nA,2\n", "a sample id is there several times: 'A' (lines 2, 3)"),
        ("id,x,x\nA,1,2\n", "a column name is there several times: 'x' (columns 2, 3)"),
        ("id,x\nA,1,2\n", "m.csv:2: has 3 cells, the header has 2"),
        ("id\nA\n", "has one column, the sample ids, and nothing about them"),
        ("", "is empty"),
    ],
)
def test_bad_metadata_is_refused(tmp_path, text, said):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_metadata(tmp_path / "m.csv")
    assert said in str(caught.value)
