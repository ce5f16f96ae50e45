from __future__ import annotations

import h5py
import numpy as np
import pytest
from stem_datasets.source_files import is_numbered, source_file


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders in which a source may be, the current one among them, and the virtual dataset's file."""
    for folder in ("here", "real", "prefix", "other"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.delenv("HDF5_VDS_PREFIX", raising=False)
    return tmp_path


def put(folder, value, name="source.h5"):
    with h5py.File(folder / name, "w") as file:
        file["patterns"] = np.full((2, 3, 4), value, np.uint8)


def agrees(file, source):
    """The file that is found, having checked that HDF5 reads its value through a virtual dataset."""
    found = source_file(file, source)
    with h5py.File(file, "r") as opened:
        read = opened["scan"][()]
    stored = 0
    if found is not None:
        with h5py.File(found, "r") as opened:
            stored = opened["patterns"][()]
    assert (read == stored).all()
    return found


def virtual(path, source):
    layout = h5py.VirtualLayout((2, 3, 4), "uint8")
    layout[:] = h5py.VirtualSource(str(source), "patterns", (2, 3, 4))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("scan", layout)
    return path


def test_where_hdf5_looks_and_in_which_order(places, monkeypatch):
    """One place after the other is filled, each of which goes before those that were filled before."""
    link = places / "here" / "virtual.h5"
    link.symlink_to(virtual(places / "real" / "virtual.h5", "source.h5"))
    assert agrees(link, "source.h5") is None
    for value, folder in enumerate(("real", "other", "here"), 1):
        put(places / folder, value)
        assert agrees(link, "source.h5").resolve() == places / folder / "source.h5"
    put(places / "prefix", 9)
    monkeypatch.setenv("HDF5_VDS_PREFIX", f"{places / 'none'}:{places / 'prefix'}")
    assert agrees(link, "source.h5") == places / "prefix" / "source.h5"


def test_a_path_relative_to_the_file(places):
    put(places / "real", 3)
    path = virtual(places / "here" / "virtual.h5", "../real/source.h5")
    assert agrees(path, "../real/source.h5").resolve() == places / "real" / "source.h5"


def test_an_absolute_path_and_one_that_was_moved(places):
    put(places / "real", 4)
    source = str(places / "real" / "source.h5")
    path = virtual(places / "here" / "virtual.h5", source)
    assert agrees(path, source) == places / "real" / "source.h5"
    (places / "real" / "source.h5").rename(places / "here" / "source.h5")
    assert agrees(path, source) == places / "here" / "source.h5"


def test_a_percent_sign_is_written_twice(places):
    put(places / "here", 5, "50%.h5")
    path = virtual(places / "here" / "virtual.h5", "50%%.h5")
    assert agrees(path, "50%%.h5") == places / "here" / "50%.h5"
    assert is_numbered("data_%b.h5")
    assert not is_numbered("50%%beam.h5")


def test_the_same_file(places):
    path = places / "here" / "virtual.h5"
    assert source_file(path, ".") == path
