from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem"


@pytest.fixture(scope="session")
def shared_scan():
    """The simulated WS2/WSe2 scan of 4096 patterns, where it is at hand."""
    path = SHARED / "ws2_wse2_64.h5"
    if not path.is_file():
        pytest.skip("needs ../shared/data/4dstem")
    return path


@pytest.fixture
def counts():
    """Poisson counts of 40 patterns (40, 12, 10)."""
    return np.random.default_rng(0).poisson(3.0, (40, 12, 10)).astype(np.uint16)


@pytest.fixture
def write(tmp_path):
    """Writes a file: arrays by name (with ``create_dataset`` arguments for ``patterns``) and root attributes."""

    def write(name="scan.h5", attrs=None, options=None, **arrays):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                extra = (options or {}) if key == "patterns" else {}
                file.create_dataset(key.replace("__", "/"), data=value, **extra)
            file.attrs.update(attrs or {})
        return path

    return write


@pytest.fixture
def spoil():
    """Overwrites the stored bytes of one chunk with garbage."""

    def spoil(path, chunk, dataset="patterns"):
        with h5py.File(path, "r") as file:
            info = file[dataset].id.get_chunk_info_by_coord(chunk)
        with path.open("r+b") as raw:
            raw.seek(info.byte_offset)
            raw.write(b"\xff" * info.size)

    return spoil
