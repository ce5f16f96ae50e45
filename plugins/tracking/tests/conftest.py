"""A scan and a recipe that trains in a tenth of a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from stem_tracking.store import connect

RECIPE = {
    "name": "small",
    "seed": 5,
    "data": {
        "train": {"type": "hdf5", "path": "scan.h5"},
        "val": 0.25,
        "batch_size": 16,
        "transforms": {"input": [{"type": "log1p"}]},
    },
    "model": {"type": "conv_autoencoder", "latent_dim": 2, "channels": [2, 2], "blocks": 0, "norm": "none"},
    "losses": {"mse": {}},
    "metrics": {"psnr": {}},
    "optimizer": {"type": "adam", "lr": 1e-2},
    "loggers": ["csv"],
    "figures": {},
    "backend": "cpu",
    "trainer": {"max_epochs": 2},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a scan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    patterns = np.random.default_rng(0).poisson(3.0, (8, 8, 16, 16)).astype(np.uint16)
    with h5py.File("scan.h5", "w") as file:
        file["patterns"] = patterns
    return tmp_path


@pytest.fixture
def recipe() -> Callable[..., dict[str, Any]]:
    """The recipe, with other values of its keys at the top."""
    return lambda **changes: {**RECIPE, **changes}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without a run: to make one takes fifty migrations."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(empty_database: Path) -> Callable[[Path], Path]:
    """Puts such a database where runs are to be recorded."""

    def put(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(empty_database, folder / "mlflow.db"))

    return put
