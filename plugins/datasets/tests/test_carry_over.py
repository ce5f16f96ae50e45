from __future__ import annotations

import os

import h5py
import numpy as np
import pytest
from stem_datasets.carry_over import carry_over


@pytest.fixture
def carried(tmp_path):
    """A file, and what is made of it in another folder, its dataset ``patterns`` made anew."""

    def carried(fill, **options):
        (tmp_path / "new").mkdir()
        with h5py.File(tmp_path / "old.h5", "w", **options) as file:
            fill(file)

        def create(dataset, into, name):
            if dataset.ndim != 3:
                return None
            return into.create_dataset(name, data=dataset[()], chunks=(1, *dataset.shape[1:]))

        with h5py.File(tmp_path / "old.h5") as old, h5py.File(tmp_path / "new" / "new.h5", "w") as new:
            carry_over(old, new, create)
        return h5py.File(tmp_path / "new" / "new.h5")

    return carried


def test_attributes_keep_their_types(carried):
    values = {
        "text": "probe µm",
        "fixed": np.bytes_(b"abc"),
        "texts": np.array(["a", "bc"], dtype=h5py.string_dtype()),
        "bytes": np.array([b"a", b"bc"], dtype="S2"),
        "scale_factor": np.float32(0.5),
        "big": np.arange(3, dtype=">i2"),
        "flag": np.bool_(True),
        "complex": 1 + 2j,
        "pair": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "empty": h5py.Empty("f4"),
        "none": np.empty((0, 3)),
        "ragged": np.array([1, 2, 3], dtype="u1"),
    }

    def fill(file):
        file["patterns"] = np.zeros((2, 3, 4))
        file["group/other"] = np.zeros(3)
        for node in (file, file["patterns"], file["group"], file["group/other"]):
            for name, value in values.items():
                node.attrs[name] = value
            node.attrs.create("array", np.arange(6).reshape(2, 3), dtype=np.dtype(("i4", (3,))), shape=(2, 3))
            node.attrs.create("enum", 1, dtype=h5py.enum_dtype({"A": 0, "B": 1}, "u1"))

    with carried(fill) as new, h5py.File(new.filename.replace("new/new", "old")) as old:
        for name in ("/", "patterns", "group", "group/other"):
            assert set(new[name].attrs) == set(old[name].attrs)
            for key in old[name].attrs:
                mine, its = (file[name].attrs.get_id(key) for file in (new, old))
                assert mine.get_type().equal(its.get_type())
                assert mine.shape == its.shape
                np.testing.assert_equal(new[name].attrs[key], old[name].attrs[key])


def test_links_lead_where_they_did(carried, tmp_path):
    with h5py.File(tmp_path / "beside.h5", "w") as beside:
        beside["x"] = 3

    def fill(file):
        file["patterns"] = np.zeros((2, 3, 4))
        file["b/again"] = file["patterns"]
        file["b/up"] = file["b"]
        file["soft"] = h5py.SoftLink("/b/again")
        file["dangling"] = h5py.SoftLink("/none")
        file["outside"] = h5py.ExternalLink("beside.h5", "/x")
        file["absolute"] = h5py.ExternalLink(str(tmp_path / "beside.h5"), "/x")
        file["type"] = np.dtype("f4")
        file.create_dataset("typed", data=np.ones(2), dtype=file["type"])

    with carried(fill) as new:
        assert new["patterns"].chunks == (1, 3, 4)
        assert new["patterns"] == new["b/again"] == new["soft"]
        assert new["b"] == new["b/up"]
        assert new.get("dangling", getlink=True).path == "/none"
        assert new.get("dangling") is None
        assert new["outside"][()] == new["absolute"][()] == 3
        assert not os.path.isabs(new.get("outside", getlink=True).filename)
        assert new["type"].dtype == "f4"
        assert list(new["typed"]) == [1, 1]


def test_scales_and_references_are_made_anew(carried):
    def fill(file):
        for name in ("patterns", "unit/counts"):
            file[name] = np.zeros((2, 3, 4))
        file["k"] = np.arange(4.0)
        file["k"].make_scale("kx")
        file["k_px"] = np.arange(4)
        file["k_px"].make_scale()
        for name in ("patterns", "unit/counts"):
            file[name].dims[2].label = "kx"
            file[name].dims[2].attach_scale(file["k"])
            file[name].dims[2].attach_scale(file["k_px"])
        file.attrs["signal"] = file["patterns"].ref
        file["k"].attrs["all"] = np.array([file["patterns"].ref, h5py.Reference()], dtype=h5py.ref_dtype)
        file["refs"] = np.array([[file["unit"].ref], [file["k"].ref]], dtype=h5py.ref_dtype)
        file["gone"] = 1
        file.attrs["gone"] = file["gone"].ref
        del file["gone"]

    with carried(fill) as new:
        for name in ("patterns", "unit/counts"):
            dimension = new[name].dims[2]
            assert dimension.label == "kx"
            assert [key for key, _ in dimension.items()] == ["kx", ""]
            assert list(dimension[0]) == [0, 1, 2, 3]
        assert new["k"].is_scale
        assert len(new["k"].attrs["REFERENCE_LIST"]) == 2
        assert new[new.attrs["signal"]] == new["patterns"]
        assert new[new["k"].attrs["all"][0]] == new["patterns"]
        assert not new["k"].attrs["all"][1]
        assert new[new["refs"][0, 0]] == new["unit"]
        assert new[new["refs"][1, 0]] == new["k"]
        assert not new.attrs["gone"]


def test_groups_keep_the_order_of_their_members(carried):
    def fill(file):
        file.create_group("plain")
        ordered = file.create_group("ordered", track_order=True)
        for name in "cab":
            ordered[name] = 1
            file["plain"][name] = 1

    with carried(fill) as new:
        assert list(new["ordered"]) == ["c", "a", "b"]
        assert list(new["plain"]) == ["a", "b", "c"]
