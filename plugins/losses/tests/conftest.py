from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
FOLDER = DATA / "4dstem"


@pytest.fixture(scope="session")
def counts() -> np.ndarray:
    """64 measured patterns, (64, 1, 128, 128) float64 counts."""
    h5py = pytest.importorskip("h5py")
    if not FOLDER.is_dir():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(FOLDER / "au_48.h5") as file:
        return file["patterns"][512:576].astype(np.float64)[:, None]


@pytest.fixture(scope="session")
def blurred(counts) -> np.ndarray:
    """A plain denoiser's estimate of the rates behind ``counts``."""
    return gaussian_filter(counts, (2, 0, 1, 1))


@pytest.fixture(scope="session")
def expression() -> np.ndarray:
    """Expression of 200 genes in 150 tumours, (150, 200) float64."""
    if not (DATA / "omics").is_dir():
        pytest.skip("needs ../shared/data/omics")
    lines = (DATA / "omics" / "breast_tcga" / "mrna.csv").read_text(encoding="utf-8").splitlines()
    return np.array([line.split(",")[1:] for line in lines[1:]], dtype=np.float64)
