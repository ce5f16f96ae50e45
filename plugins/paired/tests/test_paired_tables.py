from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stem_paired.paired_tables import PairedTables
from stem_paired.table_examples import SAMPLES, measured, write_mudata
from stem_paired.tables import write_table

from stemcore import UserError


@pytest.fixture
def pair(tmp_path) -> dict[str, Path]:
    """Five samples in a, of which four in b, in another order; one value is missing."""
    (tmp_path / "a.csv").write_text("id,g,h\n01,1,2\n02,3,\n03,5,6\n04,7,8\n05,9,10\n")
    (tmp_path / "b.csv").write_text("id,p\n05,.5\n03,.3\n02,.2\n01,.1\n99,.9\n")
    (tmp_path / "m.csv").write_text("id,split,patient\n01,train,x\n02,val,y\n03,test,x\n05,train,\n")
    return {"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"}


def columns(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0, dtype={0: str})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("brca_jive/expression", "brca_jive/mirna"),
        ("breast_tcga/mrna", "breast_tcga/protein"),
        ("nci60_arrays/hgu95",) * 2,
    ],
)
def test_real_pairs_are_as_pandas_joins_them(omics, a, b):
    data = PairedTables(a=omics / f"{a}.csv", b=omics / f"{b}.csv")
    frames = {"a": columns(omics / f"{a}.csv"), "b": columns(omics / f"{b}.csv")}
    common = [name for name in frames["a"].index if name in frames["b"].index]
    assert data.item_names == tuple(common)
    order = np.random.default_rng(0).permutation(len(data))
    found = data.read(order)
    for p, frame in frames.items():
        expected = frame.loc[common].to_numpy(np.float32)[order]
        np.testing.assert_array_equal(found[f"input_{p}"], expected)
        np.testing.assert_array_equal(found[f"mask_{p}"], ~np.isnan(expected))
        assert data.fields[f"input_{p}"].features == tuple(frame.columns)
        assert data.fields[f"mask_{p}"].like == f"input_{p}"


def test_the_given_split_of_real_data(omics):
    folder = omics / "breast_tcga"
    data = PairedTables(
        a=folder / "mrna.csv", b=folder / "protein.csv", metadata=folder / "split.csv", split_column="split"
    )
    split = columns(folder / "split.csv").loc[list(data.item_names)]
    assert data.parts.tolist() == split["split"].tolist()
    assert "split" not in data.fields
    spec = data.fields["label"]
    assert (spec.dtype, spec.classes) == ("int64", ("Basal", "Her2", "LumA"))
    assert [spec.classes[k] for k in data.read(np.arange(len(data)))["label"]] == split["label"].tolist()


def test_samples_are_aligned_by_id_and_what_is_left_out_is_reported(pair, caplog):
    with caplog.at_level(logging.WARNING, "stemcore"):
        data = PairedTables(**pair)
    assert data.item_names == ("01", "02", "03", "05")
    found = data.read(np.array([3, 0, 3]))
    np.testing.assert_array_equal(found["input_a"], [[9, 10], [1, 2], [9, 10]])
    np.testing.assert_array_equal(found["input_b"], np.array([[0.5], [0.1], [0.5]], np.float32))
    said = (
        f"1 of {pair['a']} (04) and 1 of {pair['b']} (99) are not in the other table and left out; 4 samples are used"
    )
    assert caplog.messages == [said]


def test_missing_values_are_kept_and_masked_or_their_samples_dropped(pair, caplog):
    kept = PairedTables(**pair).read(np.array([1]))
    np.testing.assert_array_equal(kept["input_a"], [[3, np.nan]])
    np.testing.assert_array_equal(kept["mask_a"], [[True, False]])
    with caplog.at_level(logging.WARNING, "stemcore"):
        dropped = PairedTables(**pair, missing="drop")
    assert dropped.item_names == ("01", "03", "05")
    assert caplog.messages[-1] == "1 samples lack a value and are left out (02); 3 are used"
    np.testing.assert_array_equal(dropped.read(np.arange(3))["input_b"], np.array([[0.1], [0.3], [0.5]], np.float32))


def test_metadata_ride_along(pair, tmp_path):
    data = PairedTables(**pair, metadata=tmp_path / "m.csv", split_column="split", group_column="patient")
    assert data.parts.tolist() == ["train", "val", "test", "train"]
    first, second, third, unknown = data.groups.tolist()
    assert first == third
    assert len({first, second, unknown}) == 3
    assert data.read(np.arange(4))["patient"].tolist() == [0, 1, 0, -1]
    assert data.files == [pair["a"], pair["b"], tmp_path / "m.csv"]


def test_samples_without_metadata_are_reported(pair, tmp_path, caplog):
    (tmp_path / "m.csv").write_text("id,age\n03,50\n")
    with caplog.at_level(logging.WARNING, "stemcore"):
        data = PairedTables(**pair, metadata=tmp_path / "m.csv")
    assert caplog.messages[-1].endswith("m.csv has nothing on 3 of 4 samples (01, 02, 05)")
    np.testing.assert_array_equal(data.read(np.arange(4))["age"], [np.nan, np.nan, 50, np.nan])


def test_transposed_tables(pair, tmp_path):
    for name, path in pair.items():
        columns(path).T.to_csv(tmp_path / f"{name}t.csv", index_label="feature")
    turned = PairedTables(a=tmp_path / "at.csv", b=tmp_path / "bt.csv", transpose=True)
    straight = PairedTables(**pair)
    assert turned.item_names == straight.item_names
    for name, values in straight.read(np.arange(4)).items():
        np.testing.assert_array_equal(turned.read(np.arange(4))[name], values)
        assert turned.fields[name] == straight.fields[name]


def test_a_mudata_file_is_both_tables(tmp_path):
    write_mudata(tmp_path / "both.h5mu", lambda k: f"S{k}")
    data = PairedTables(path=tmp_path / "both.h5mu")
    assert data.item_names == tuple(f"S{k}" for k in range(1, SAMPLES))
    found = data.read(np.arange(SAMPLES - 1))
    np.testing.assert_array_equal(found["input_a"], measured(6, 0.0)[1:])
    np.testing.assert_array_equal(found["input_b"], measured(4, 1.0)[1:])
    assert found["tissue"].tolist() == [k % 3 for k in range(1, SAMPLES)]
    assert data.files == [tmp_path / "both.h5mu"]
    named = PairedTables(path=tmp_path / "both.h5mu", modality_a="protein")
    assert named.fields["input_a"].shape == (4,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "no tables are named; give both 'a' and 'b', or the 'path' of a .h5mu file"),
        ({"a": "a.csv"}, "there is only the table 'a'"),
        ({"a": "a.csv", "b": "b.csv", "path": "x.h5mu"}, "and there is 'a' besides"),
        ({"a": "a.csv", "b": "b.csv", "modality_a": "rna"}, "'modality_a' and 'modality_b' are of a .h5mu file"),
        ({"a": "a.csv", "b": "b.csv", "split_column": "split"}, "'split_column' names a column, and there is no 'met"),
        ({"a": "a.csv", "b": "b.csv", "metadata": "m.csv", "split_column": "x"}, "its columns are split, patient"),
        ({"a": "a.csv", "b": "b.csv", "metadata": "n.csv"}, "n.csv: has nothing on any of the samples (01, 02, 03"),
        ({"a": "a.csv", "b": "e.csv"}, "e.csv: a feature has no value: 'q'"),
        ({"a": "a.csv", "b": "f.csv"}, "f.csv: a feature has no value in the samples in common: 'q'"),
        ({"a": "a.csv", "b": "f.csv", "missing": "drop"}, "every sample lacks a value, and 'missing' is drop"),
    ],
)
def test_what_cannot_be_paired_is_refused(pair, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("n.csv").write_text("id,age\nQ,50\n")
    Path("e.csv").write_text("id,p,q\n01,1,\n02,2,NA\n")
    Path("f.csv").write_text("id,p,q\n01,1,\n02,2,NA\n99,3,4\n")
    paths = ("a", "b", "path", "metadata")
    with pytest.raises(UserError) as caught:
        PairedTables(**{name: Path(v) if name in paths else v for name, v in arguments.items()})
    assert said in str(caught.value)


def test_all_tables_are_looked_at_before_anything_is_said(pair, tmp_path):
    pair["a"].write_text("id,g\nA,x\nA,1\n")
    (tmp_path / "m.csv").write_text("id,age\nA,1,2\n")
    with pytest.raises(UserError) as caught:
        PairedTables(a=pair["a"], b=tmp_path / "none.csv", metadata=tmp_path / "m.csv")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    for said in ("not numbers: 'x'", "'A' (lines 2, 3)", "none.csv: there is no such file", "m.csv:2: has 3 cells"):
        assert any(said in line for line in lines), said


def test_other_samples_are_read_from_a_folder_of_files_of_the_same_names(pair, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a", "b"):
        (other / f"{name}.csv").write_text(pair[name].read_text().replace("01,", "77,"))
    trained = {**pair, "metadata": tmp_path / "m.csv", "split_column": "split", "group_column": None}
    data = PairedTables.elsewhere(other, **trained)
    assert data.item_names == ("77", "02", "03", "05")
    assert list(data.fields) == ["input_a", "mask_a", "input_b", "mask_b"]
    (other / "m.csv").write_text("id,split,patient\n77,test,z\n")
    assert PairedTables.elsewhere(other, **trained).parts.tolist() == ["test", "", "", ""]
    with pytest.raises(UserError, match=r"is a file; name a folder with a.csv and b.csv in it"):
        PairedTables.elsewhere(pair["a"], **trained)
    with pytest.raises(UserError, match="there is no such folder"):
        PairedTables.elsewhere(tmp_path / "none", **trained)
    with pytest.raises(UserError, match=r"the run was trained on a \.h5mu file"):
        PairedTables.elsewhere(other, path=tmp_path / "both.h5mu")


def test_items_are_gathered_to_where_they_belong(pair):
    data = PairedTables(**pair)
    indices = np.array([2, 0, 2])
    out = {name: np.full_like(values, 1) for name, values in data.read(indices).items()}
    data.read_into(indices, out)
    for name, values in data.read(indices).items():
        np.testing.assert_array_equal(out[name], values)
    for wrong in ([4], [-1]):
        with pytest.raises(IndexError, match="there are 4 items"):
            data.read(np.array(wrong))


def test_a_change_in_the_middle_of_a_large_table_is_noticed(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"S{k}" for k in range(400)]
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.csv", ids, [f"{name}{k}" for k in range(60)], rng.normal(size=(400, 60)))
    both = {"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"}
    before = PairedTables(**both).fingerprint()
    assert PairedTables(**both).fingerprint() == before
    text = both["a"].read_text().splitlines()
    name, _, rest = text[200].partition(",")
    text[200] = f"{name},{rest.replace('1', '2')}"
    both["a"].write_text("\n".join(text) + "\n")
    assert PairedTables(**both).fingerprint() != before
