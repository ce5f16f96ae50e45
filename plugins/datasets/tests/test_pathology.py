from __future__ import annotations

import shlex
import sys
from subprocess import run

import h5py
import hdf5plugin  # noqa: F401  importing it registers the filters
import numpy as np
import pytest
from stem_datasets.pathology import fault_of, pathology


@pytest.fixture
def said(tmp_path):
    """What is said of an empty dataset of that shape and those chunks: nothing is stored of it."""

    def said(shape, chunks, dtype="u2", name="a scan.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            return pathology(file.create_dataset("patterns", shape, dtype, chunks=chunks))

    return said


def test_chunks_of_hyperspy(said):
    text = said((256, 256, 256, 256), (32, 32, 128, 128), "f4")
    assert "(32, 32, 128, 128) hold 67.1 MB each and cut the detector into 4 pieces" in text
    assert "to read one pattern (262.1 kB)" in text


def test_one_chunk_over_the_whole_scan(said):
    assert "hold the whole scan, 5.2 MB" in said((10, 16, 128, 128), (10, 16, 128, 128))
    assert "hold the whole scan, 5.2 MB" in said((160, 128, 128), (160, 128, 64), "u4")


def test_a_detector_in_pieces(said):
    assert "cut the detector into 16 pieces of 64 patterns, 2.1 MB of which" in said((4096, 128, 128), (64, 32, 32))


def test_one_row_chunks(said):
    assert "hold 256 bytes each, and there are 524,288" in said((4096, 128, 128), (1, 1, 128))


def test_what_h5py_chooses_by_itself(said):
    assert "cut the detector into" in said((64, 64, 128, 128), True)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((4096, 128, 128), (16, 128, 128)),
        ((64, 64, 128, 128), (1, 32, 128, 128)),
        ((64, 64, 128, 128), (1, 1, 128, 128)),
        ((100, 4096, 4096), (1, 4096, 4096)),
        ((1, 2048, 2048), (1, 2048, 2048)),
        ((4096, 256, 256), (4, 128, 128)),
        ((40, 12, 10), (40, 1, 10)),
        ((4096, 128, 128), None),
    ],
)
def test_good_chunks_and_small_arrays_are_not_wrong(said, shape, chunks):
    assert said(shape, chunks) is None


def test_a_virtual_dataset_has_no_chunks(tmp_path):
    layout = h5py.VirtualLayout((64, 128, 128), "u2")
    layout[:] = h5py.VirtualSource("none.h5", "patterns", (64, 128, 128))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        assert pathology(file.create_virtual_dataset("patterns", layout)) is None


def test_the_bounds():
    assert fault_of((4096, 128, 128), (1024, 128, 128), 2) is None
    assert "hold 33.6 MB each" in fault_of((4096, 128, 128), (1025, 128, 128), 2)
    assert fault_of((4096, 128, 128), (15, 64, 128), 2) is None
    assert "2 pieces of 16 patterns" in fault_of((4096, 128, 128), (16, 64, 128), 2)
    assert fault_of((4096, 32, 64), (1, 32, 64), 2) is None
    assert "4.1 kB each" in fault_of((4096, 31, 66), (1, 31, 66), 2)


def test_the_command_that_it_names_mends_it(tmp_path):
    path = tmp_path / "a scan.h5"
    values = np.random.default_rng(0).poisson(1.0, (200, 64, 64)).astype(np.uint16)
    with h5py.File(path, "w") as file:
        said = pathology(file.create_dataset("patterns", data=values, chunks=(20, 8, 64), compression="gzip"))
    command = shlex.split(said.partition("to mend it: ")[2])
    assert command[:3] == ["stem", "convert", str(path)]
    assert "\n" not in said
    assert run([sys.executable, "-m", "stemcore.cli", *command[1:], "-q"], check=False).returncode == 0
    with h5py.File(command[-1]) as file:
        assert pathology(file["patterns"]) is None
        np.testing.assert_array_equal(file["patterns"], values)
