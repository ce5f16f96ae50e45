from __future__ import annotations

import h5py
import numpy as np
import pytest
from stem_probes.label_files import read_labels

from stemcore import UserError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "labels.csv") -> str:
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


@pytest.mark.parametrize(
    ("text", "values", "ids"),
    [
        ("id,label\n007,tree\n8,\n", ["tree", ""], ("007", "8")),
        ("ID,Label,hs_file\nx,3,a.h5\ny,-1,b.h5\n", [3, -1], ("x", "y")),
        ("note,id,label\n,x,0.5\n,y,\n", [0.5, np.nan], ("x", "y")),
        ("label\n2\n5\n", [2, 5], None),
        ("2\n5\n\n", [2, 5], None),
        ("label\nin; out\n", ["in; out"], None),
        ("\ufeffid,label\na,1\n", [1], ("a",)),
        ('id,label\n"a, b","c, d"\n', ["c, d"], ("a, b",)),
    ],
)
def test_tables(text, values, ids) -> None:
    given = read_labels(write(text))
    np.testing.assert_array_equal(given.values, np.array(values))
    assert given.values.dtype.kind == np.array(values).dtype.kind
    assert given.ids == ids


def test_arrays_and_datasets(tmp_path) -> None:
    np.save("a.npy", np.array([[True, False]]))
    assert read_labels("a.npy").values.tolist() == [[1, 0]]
    with h5py.File("a.h5", "w") as file:
        file["x/labels"] = np.arange(6, dtype=np.uint8).reshape(2, 3)
        file["x/labels"].attrs["class_names"] = ["none", "tree", "water"]
        file["names"] = ["tree", "road"]
    given = read_labels("a.h5:x/labels")
    assert (given.values.shape, given.classes, given.ids) == ((2, 3), ("none", "tree", "water"), None)
    assert read_labels(f"{tmp_path}/a.h5:/x/labels").values.shape == (2, 3)
    assert read_labels("a.h5:names").values.tolist() == ["tree", "road"]


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (lambda: None, "nowhere.csv", "nowhere.csv: there is no such file"),
        (lambda: None, "nowhere.h5:labels", "nowhere.h5: there is no such file"),
        (lambda: write("1", "labels.txt"), "labels.txt", "no kind of file"),
        (lambda: write(""), "labels.csv", "it is empty"),
        (lambda: write("id,label\na,1\nb\n"), "labels.csv", "labels.csv:3: it should have 2 columns"),
        (lambda: write("id,class\na,1\n"), "labels.csv", "labels.csv:1: its columns are id, class"),
        (lambda: write("id,label\na,1\nb,1\na,2\n"), "labels.csv", "labels.csv:4: 'a' comes a second time"),
        (lambda: write("id;label\na;1\n"), "labels.csv", "labels.csv:1: its columns are parted by semicolons"),
        (lambda: write('"ID"\t"Label"\na\t1\n'), "labels.csv", "labels.csv:1: its columns are parted by tabs"),
        (lambda: write("no array", "x.npy"), "x.npy", "x.npy: it cannot be read as an array"),
        (lambda: np.save("o.npy", np.array([{}])), "o.npy", "o.npy: it cannot be read as an array"),
        (lambda: np.save("c.npy", np.array([1j])), "c.npy", "labels cannot be of type complex128"),
        (lambda: write("no HDF5", "x.h5"), "x.h5:a", "x.h5: it cannot be read as HDF5"),
    ],
)
def test_files_that_hold_none(make, given, said) -> None:
    make()
    with pytest.raises(UserError, match=said):
        read_labels(given)


def test_datasets_that_there_are_are_listed() -> None:
    with h5py.File("a.h5", "w") as file:
        file["x/labels"] = [1, 2]
        file["patterns"] = [1.0]
    for given in ("a.h5", "a.h5:label", "a.h5:x"):
        with pytest.raises(UserError, match="it has patterns, x/labels"):
            read_labels(given)
