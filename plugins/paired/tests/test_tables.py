from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stem_paired.tables import read_table, write_table

from stemcore import UserError

IDS = ("0012", "1e5", "NA", "a, b", 'quoted "x"')
FEATURES = ("g", "TP53, total", "µ-opioid")
SPECIAL = np.array(
    [[0.1, 1e-45, -0.0], [3.4028235e38, np.nan, 1 / 3], [1e-7, 16777217, 5], [np.nan, np.nan, 2], [1, 2, -3.3e-12]],
    np.float32,
)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_what_is_written_reads_back_bit_for_bit(tmp_path, name):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, (400, 3), dtype=np.uint32).view(np.float32)
    values = np.concatenate([SPECIAL, bits[np.isfinite(bits).all(axis=1)]])
    ids = (*IDS, *(f"s{k:04d}" for k in range(len(values) - len(IDS))))
    write_table(tmp_path / name, ids, FEATURES, values)
    table = read_table(tmp_path / name)
    assert (table.ids, table.features) == (ids, FEATURES)
    np.testing.assert_array_equal(np.isnan(table.values), np.isnan(values))
    known = ~np.isnan(values)
    np.testing.assert_array_equal(table.values[known].view(np.uint32), values[known].view(np.uint32))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_writing_twice_gives_the_same_bytes(tmp_path, name):
    write_table(tmp_path / name, IDS, FEATURES, SPECIAL)
    first = (tmp_path / name).read_bytes()
    write_table(tmp_path / name, IDS, FEATURES, SPECIAL)
    assert (tmp_path / name).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_numbers_have_as_few_digits_as_they_need(tmp_path):
    write_table(tmp_path / "t.csv", ["A"], ["g", "h", "i"], np.array([[0.1, 2, np.nan]], np.float32))
    assert (tmp_path / "t.csv").read_text() == "sample_id,g,h,i\nA,0.1,2.0,\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [("t.xlsx", "end it in .csv, .tsv or .parquet"), ("none/t.csv", "its folder does not exist"), ("", "no kind of")],
)
def test_places_that_cannot_be_written_are_refused(tmp_path, name, said):
    with pytest.raises(UserError, match=said):
        write_table(tmp_path / name, ["A"], ["g"], np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aa.csv", "there is no such file; did you mean a.csv?"),
        ("a.xlsx", "none of the known formats"),
        ("", "directory"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, name, said):
    (tmp_path / "a.csv").write_text("id,g\nA,1\n")
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(UserError) as caught:
        read_table(tmp_path / name)
    assert said in str(caught.value)


def test_parquet_takes_the_index_or_the_first_column_for_ids(tmp_path):
    frame = pd.DataFrame({"g": [1.5, None], "h": [3, 4]}, index=pd.Index(["A", "B"], name="sample"))
    frame.to_parquet(tmp_path / "indexed.parquet")
    frame.reset_index().to_parquet(tmp_path / "column.parquet")
    frame.reset_index().assign(sample=[7, 8]).to_parquet(tmp_path / "numbered.parquet")
    for name, ids in (("indexed", ("A", "B")), ("column", ("A", "B")), ("numbered", ("7", "8"))):
        table = read_table(tmp_path / f"{name}.parquet")
        assert (table.ids, table.features) == (ids, ("g", "h"))
        np.testing.assert_array_equal(table.values, np.array([[1.5, 3], [np.nan, 4]], np.float32))


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"id": ["A", "B"], "g": ["1", "low"]}, "1 cell is not numbers: 'low' in row 'B', column 'g'"),
        ({"id": ["A", "B"], "g": [True, False]}, "2 cells are not numbers: 'True' in row 'A', column 'g'"),
        ({"id": ["A", "A"], "g": [1, 2]}, "a sample id is there several times: 'A' (rows 1, 2)"),
        ({"id": ["A", None], "g": [1, 2]}, "a sample id is empty (rows 2)"),
        ({"id": ["A", "B"], "g": [1, np.inf]}, "1 cell is infinite or too large for float32: 'inf' in row 'B'"),
        ({"id": ["A", "B"], "g": [1, 1e300]}, "in row 'B', column 'g'"),
        ({"g": [0.5, 1.5], "h": [1, 2]}, "its first column, 'g', holds float64 and no names"),
        ({"id": ["A", "B"]}, "has one column, the sample ids, and no features"),
    ],
)
def test_bad_parquet_is_refused(tmp_path, frame, said):
    pd.DataFrame(frame).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError) as caught:
        read_table(tmp_path / "a.parquet")
    assert said in str(caught.value)


def test_damaged_parquet_is_refused(tmp_path):
    write_table(tmp_path / "a.parquet", IDS, FEATURES, SPECIAL)
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read_table(tmp_path / "a.parquet")


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    import sys

    Path(tmp_path / "a.csv").write_text("id,g\nA,1\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"reading tables needs pandas; pip install 'stemcore\[omics\]'"):
        read_table(tmp_path / "a.csv")
