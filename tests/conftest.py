"""Small recipes on the bundled scan, and data sets made for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "4dstem"


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders for caches; they are made by who writes to them."""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_cache(caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits are cached in a folder of the test's own, never in the user's."""
    monkeypatch.setenv("STEM_CACHE_DIR", str(next(caches)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_scans() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data/4dstem")
    return SHARED


SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 7,
    "data": {
        "train": {"type": "sample"},
        "val": 0.2,
        "transforms": {"input": [{"type": "bin", "factor": 4}, {"type": "log1p"}, {"type": "standardize"}]},
        "batch_size": 64,
    },
    "model": {"type": "conv_autoencoder", "latent_dim": 4, "channels": [8, 16]},
    "losses": {"mse": {}, "lp": {"weight": 1e-4}},
    "metrics": {"psnr": {}},
    "optimizer": {"type": "adam", "lr": 1e-3},
    "trainer": {"max_epochs": 2, "gradient_clip_val": 1.0},
    "backend": "cpu",
    "loggers": ["csv"],
    "figures": {},
}


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe with some keys set, key by key."""
    merged = deepcopy(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = changed(merged[key], value) if both else deepcopy(value)
    return merged


@pytest.fixture
def small() -> Callable[..., dict[str, Any]]:
    """The small recipe (bundled scan binned to 16 x 16, a few thousand parameters), changed as asked for."""

    def make(**changes: Any) -> dict[str, Any]:
        return changed(SMALL, changes)

    return make


@pytest.fixture
def scan_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes patterns (from the bundled scan by default, binned to 16 x 16) to an HDF5 file."""
    import h5py

    def write(name: str = "scan.h5", patterns: np.ndarray | None = None, **options: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            data = bundled_patterns()[:96] if patterns is None else patterns
            file.create_dataset("patterns", data=data, **options)
        return path

    return write


def bundled_patterns() -> np.ndarray:
    """The bundled scan, 4 x 4 binned: (1280, 16, 16) uint16 counts."""
    from importlib.resources import files

    import h5py

    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as file:
        patterns = file["patterns"][:]
    n, h, w = patterns.shape
    return patterns.reshape(n, h // 4, 4, w // 4, 4).sum(axis=(2, 4)).astype(np.uint16)
