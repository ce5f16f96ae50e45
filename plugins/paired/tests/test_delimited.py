from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from stem_paired import delimited
from stem_paired.delimited import MISSING, number_of
from stem_paired.tables import read_table

from stemcore import UserError


def written(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def message_of(path: Path, **options) -> str:
    with pytest.raises(UserError) as caught:
        read_table(path, **options)
    return str(caught.value)


def test_missing_is_what_pandas_takes_for_it():
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(STR_NA_VALUES) == MISSING


@pytest.mark.parametrize("name", ["brca_jive/methylation.csv", "breast_tcga/protein.csv", "nci60_arrays/agilent.csv"])
def test_real_tables_are_read_to_the_bit(omics, name):
    table = read_table(omics / name)
    with (omics / name).open() as file:
        header, *rows = list(csv.reader(file))
    assert table.features == tuple(header[1:])
    assert table.ids == tuple(row[0] for row in rows)
    assert table.values.dtype == np.float32
    assert table.values.flags.c_contiguous
    np.testing.assert_array_equal(table.values, np.array([row[1:] for row in rows], np.float64).astype(np.float32))


def test_cell_by_cell_reads_the_same(omics, monkeypatch):
    fast = read_table(omics / "breast_tcga/protein.csv")
    monkeypatch.setattr(delimited, "_parsed", lambda *_: None)
    slow = read_table(omics / "breast_tcga/protein.csv")
    assert (slow.ids, slow.features) == (fast.ids, fast.features)
    np.testing.assert_array_equal(slow.values, fast.values)


def test_missing_cells_of_every_kind_become_nan_and_ids_stay_text(tmp_path):
    marks = ["", "NA", "NaN", "null", "N/A", "#N/A", "nan", "None", " ", '""']
    text = "id,g,h\n" + "".join(f"00{k},{mark},{k}.5\n" for k, mark in enumerate(marks)) + "1e5,3,4\nNA,5,6\n"
    table = read_table(written(tmp_path, text))
    assert table.ids[:2] == ("000", "001")
    assert table.ids[-2:] == ("1e5", "NA")
    assert np.isnan(table.values[:-2, 0]).all()
    np.testing.assert_array_equal(table.values[:, 1], [*(k + 0.5 for k in range(len(marks))), 4, 6])


@pytest.mark.parametrize(("name", "sign"), [("a.tsv", "\t"), ("a.txt", "\t"), ("a.csv.gz", ","), ("a.tsv.gz", "\t")])
def test_endings_tell_the_delimiter_and_the_compression(tmp_path, name, sign):
    text = f"id{sign}g{sign}h\nA{sign}1{sign}2\nB{sign}3{sign}\n"
    path = written(tmp_path, gzip.compress(text.encode()) if name.endswith(".gz") else text, name)
    table = read_table(path)
    assert (table.ids, table.features) == (("A", "B"), ("g", "h"))
    np.testing.assert_array_equal(table.values, [[1, 2], [3, np.nan]])


def test_byte_order_mark_quotes_and_blank_lines_are_no_matter(tmp_path):
    text = b'\xef\xbb\xbf"id","TP53, total"," h "\r\n\r\n"A,1",1,2\r\n\r\n B ,3,4\r\n'
    table = read_table(written(tmp_path, text))
    assert (table.ids, table.features) == (("A,1", "B"), ("TP53, total", "h"))
    np.testing.assert_array_equal(table.values, [[1, 2], [3, 4]])


def test_transposed_tables_have_their_samples_in_the_header(tmp_path):
    table = read_table(written(tmp_path, "gene,A,B\ng,1,2\nh,3,4\ni,5,\n"), transpose=True)
    assert (table.ids, table.features) == (("A", "B"), ("g", "h", "i"))
    np.testing.assert_array_equal(table.values, [[1, 3, 5], [2, 4, np.nan]])
    assert table.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("id,g\n", "has no samples: there is a header alone"),
        ("id\nA\n", "has one column, the sample ids, and no features"),
        ("id;g;h\nA;1;2\n", "is separated by semicolons, not by commas"),
        ("id\tg\nA\t1\n", "is separated by tabs, not by commas; name it .tsv"),
        ("id,g\nA,1\nB,2\nA,3\nB,4\n", "a sample id is there several times: 'A' (lines 2, 4), 'B' (lines 3, 5)"),
        ("id,g,h,g\nA,1,2,3\n", "a feature name is there several times: 'g' (columns 2, 4)"),
        ("id,g,,\nA,1,2,3\n", "a feature name is empty (columns 3, 4)"),
        ("id,g\nA,1\n,2\n", "a sample id is empty (lines 3)"),
        ("id,g,h\nA,1,2\nB,1\n", "a.csv:3: has 2 cells, the header has 3"),
        ("id,g,h\nA,1,\nB,1\n", "a.csv:3: has 2 cells, the header has 3"),
        ("id,g,h\nA,1,2\nB,1,2,3\nC,1\n", "a.csv:3: has 4 cells, the header has 3; so are line 4"),
        ("g,h\nA,1,2\nB,3,4\n", "its header has one name less than its rows have cells; name the first column"),
        ("id,g,h\nA,1,low\nB,2,3\n", "1 cell is not numbers: 'low' in row 'A' (line 2), column 'h'"),
        ("id,g\nA,1_0\n", "'1_0' in row 'A' (line 2), column 'g'"),
        ("id,g\nA,True\n", "'True' in row 'A' (line 2), column 'g'"),
        ("id,g\nA,\nB,False\n", "'False' in row 'B' (line 3), column 'g'"),
        ("id,g\nA,0x1F\n", "'0x1F' in row 'A' (line 2), column 'g'"),
        ("id,g\nA,inf\nB,1\n", "1 cell is infinite or too large for float32: 'inf' in row 'A' (line 2)"),
        ("id,g\nA,1\nB,-1e39\n", "'-1e39' in row 'B' (line 3), column 'g'"),
        ("\n".join(["id,g", *(f"S{k},x{k}" for k in range(9))]), "9 cells are not numbers: 'x0' in row 'S0' (line 2)"),
        (b"\x89PNG\0\0", "is no table of text (binary)"),
        ("id,g\nA,1\n".encode("utf-16"), "is no table of text (UTF-16)"),
        ("id,g\nä,1\n".encode("latin-1"), "is no table of text (not UTF-8)"),
    ],
)
def test_bad_tables_are_refused_with_their_places(tmp_path, text, said):
    path = written(tmp_path, text)
    message = message_of(path)
    assert said in message
    assert message.startswith(str(path))


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    message = message_of(written(tmp_path, "id,g,g\nA,1,x\nA,inf,2\nB,1\n"))
    lines = message.splitlines()
    assert len(lines) == 5
    for said in ("feature name is there", "sample id is there", "not numbers", "infinite", ":4: has 2 cells"):
        assert said in message


def test_roles_are_named_the_other_way_round_when_transposed(tmp_path):
    message = message_of(written(tmp_path, "gene,A,A\ng,1,2\ng,3,4\n"), transpose=True)
    assert "a sample id is there several times: 'A' (columns 2, 3)" in message
    assert "a feature name is there several times: 'g' (lines 2, 3)" in message


def test_damaged_compression_is_refused(tmp_path):
    whole = gzip.compress(b"id,g\n" + b"A,1.234\n" * 4000)
    assert "is no table of text" in message_of(written(tmp_path, whole[: len(whole) // 2], "a.csv.gz"))
    assert "is no table of text" in message_of(written(tmp_path, b"id,g\nA,1\n", "b.csv.gz"))


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "3.", "1e-8", "2E+3"])
def test_numbers_are_numbers(text):
    assert number_of(text) == float(text)
