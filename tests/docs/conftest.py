"""A folder as a reader of the documentation would have it: scans of their own, and the commands that they type."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page: ``scan.h5`` (with a mask, labels and the truth), ``other.h5``, ``scan.pt``."""
    monkeypatch.chdir(tmp_path)
    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as sample:
        patterns = _binned(sample["patterns"][()])
        with h5py.File("scan.h5", "w") as scan:
            scan.create_dataset("patterns", data=patterns, chunks=(16, 32, 32), compression="gzip")
            scan.attrs["scan_shape"] = (32, 40)
            scan["pixels"] = np.ones((32, 32), bool)
            scan["grains"] = sample["labels"][()]
            scan["noise_free"] = _binned(sample["expected"][()].astype(np.float32))
            scan["noise_free_index"] = sample["expected_index"][()]
    with h5py.File("other.h5", "w") as other:
        other["patterns"] = patterns[:480].reshape(12, 40, 32, 32)
    torch.save(torch.from_numpy(patterns[:, None].astype(np.float32)), "scan.pt")
    return tmp_path


def _binned(patterns: np.ndarray) -> np.ndarray:
    n, h, w = patterns.shape
    sums: np.ndarray = patterns.reshape(n, h // 2, 2, w // 2, 2).sum(axis=(2, 4))
    return sums.astype(patterns.dtype)
