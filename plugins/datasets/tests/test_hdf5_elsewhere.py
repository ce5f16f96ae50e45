"""Applying a run to other files: what they lack is left out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from stem_datasets.hdf5 import Hdf5
from stem_datasets.sample import Sample

from stemcore import UserError


def scan(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["patterns"] = np.random.default_rng(0).poisson(2.0, (12, 8, 8)).astype(np.uint16)
        for name, values in datasets.items():
            file[name] = values
    return path


def test_companions_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    arguments = {"labels": "labels", "expected": "expected", "expected_index": "expected_index", "scan_shape": [3, 4]}
    bare = Hdf5.elsewhere(scan(tmp_path / "bare.h5"), **arguments)
    assert set(bare.fields) == {"input"}
    assert bare.scan_shape == (3, 4)
    labelled = Hdf5.elsewhere(scan(tmp_path / "labelled.h5", labels=np.arange(12)), **arguments)
    assert set(labelled.fields) == {"input", "label"}


def test_the_scan_shape_of_the_training_data_is_dropped_where_it_does_not_fit(tmp_path: Path) -> None:
    assert Hdf5.elsewhere(scan(tmp_path / "bare.h5"), scan_shape=[5, 5]).scan_shape is None


def test_a_run_on_the_sample_can_be_applied_to_a_file(tmp_path: Path) -> None:
    assert len(Sample.elsewhere(scan(tmp_path / "own.h5"), name="ws2_wse2_32", labels="labels")) == 12


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.h5"):
        Hdf5.elsewhere(tmp_path / "missing.h5")
