from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "4dstem"


@pytest.fixture(scope="session")
def latent() -> np.ndarray:
    """Latents (64, 32) float64 with both signs and some zeros."""
    rng = np.random.default_rng(0)
    z = rng.normal(0.3, 1.2, (64, 32))
    z[rng.random(z.shape) < 0.1] = 0
    return z


@pytest.fixture(scope="session")
def measured() -> np.ndarray:
    """The first 32 principal components of 64 measured patterns, (64, 32) float64, rectified."""
    h5py = pytest.importorskip("h5py")
    if not FOLDER.is_dir():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(FOLDER / "ws2_wse2_64.h5") as file:
        patterns = np.log1p(file["patterns"][640:704].reshape(64, -1).astype(np.float64))
    u, s, _ = np.linalg.svd(patterns - patterns.mean(0), full_matrices=False)
    return np.maximum(u[:, :32] * s[:32], 0)


@pytest.fixture(params=["latent", "measured"])
def items(request) -> np.ndarray:
    """The one, and where there are data the other."""
    return request.getfixturevalue(request.param)
