"""Patterns to score: simulated discs, and real ones where the shared scans are there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

SCAN = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem" / "ws2_wse2_64.h5"


class Scored(NamedTuple):
    """Counts (n, 1, h, w), their reconstruction from a few principal components, and the noise-free rate."""

    target: Tensor
    prediction: Tensor
    expected: Tensor


def components(counts: np.ndarray, number: int) -> np.ndarray:
    """The counts from the first principal components of their square roots."""
    roots = np.sqrt(counts.reshape(len(counts), -1).astype(float))
    mean = roots.mean(0)
    basis = np.linalg.svd(roots - mean, full_matrices=False)[2][:number]
    return ((mean + (roots - mean) @ basis.T @ basis).clip(0) ** 2).reshape(counts.shape)


def scored(rate: np.ndarray, seed: int) -> Scored:
    counts = np.random.default_rng(seed).poisson(rate)
    arrays = (counts, components(counts, 6), rate)
    return Scored(*(torch.from_numpy(x[:, None]).float() for x in arrays))


def discs() -> np.ndarray:
    """Rates (60, 36, 32) of a direct beam and a pair of discs that turns from pattern to pattern."""
    y, x = np.mgrid[:36, :32]
    rate = np.full((60, 36, 32), 0.05)
    for i, angle in enumerate(np.linspace(0, np.pi, 60)):
        rate[i] += 40 * (np.hypot(y - 18, x - 16) < 4)
        for sign in (-1, 1):
            rate[i] += 8 * (np.hypot(y - 18 - sign * 10 * np.sin(angle), x - 16 - sign * 10 * np.cos(angle)) < 3)
    return rate


def truth(scan: Path = SCAN) -> np.ndarray:
    """Noise-free patterns (n, 64, 64) of a shared scan, as fractions of the beam, 2 x 2 binned."""
    if not scan.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(scan) as file:
        expected = file["expected"][:].astype(float)
    return expected.reshape(-1, 64, 2, 64, 2).sum((2, 4))


@pytest.fixture(scope="session", params=["discs", "scan"])
def patterns(request: pytest.FixtureRequest) -> Scored:
    return scored(discs() if request.param == "discs" else 2000 * truth(), seed=1)


@pytest.fixture(scope="session")
def simulated() -> Scored:
    return scored(discs(), seed=2)


@pytest.fixture
def mask(simulated: Scored) -> Tensor:
    """A beam stop, a dead row, and one pattern without any valid pixel."""
    valid = torch.ones_like(simulated.target, dtype=torch.bool)
    valid[..., 14:20, 10:18] = False
    valid[..., 30, :] = False
    valid[3] = False
    return valid


@pytest.fixture(scope="session", params=["ws2_wse2_64", "au_48"])
def noise_free(request: pytest.FixtureRequest) -> np.ndarray:
    """Noise-free patterns (n, 64, 64) of each shared scan, as fractions of the beam."""
    return truth(SCAN.with_name(f"{request.param}.h5"))


@pytest.fixture(scope="session")
def recorded() -> tuple[Tensor, Tensor]:
    """Recorded counts (n, 1, 64, 64) of the gold scan and their noise-free rates, as in ``noise_free``."""
    scan = SCAN.with_name("au_48.h5")
    rate = truth(scan)
    with h5py.File(scan) as file:
        counts = np.stack([file["patterns"][i] for i in file["expected_index"][:]])
        dose = float(file.attrs["dose"])
    counts = counts.astype(np.int64).reshape(-1, 1, 64, 2, 64, 2).sum((3, 5))
    return torch.from_numpy(counts).float(), torch.from_numpy(dose * rate[:, None])


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


OMICS = SCAN.parents[1] / "omics" / "breast_tcga"


class Table(NamedTuple):
    """Values (samples, features) as measured, their prediction, and which were measured, in float64; NaN where not."""

    prediction: np.ndarray
    target: np.ndarray
    mask: np.ndarray

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three for a metric."""
        return torch.from_numpy(self.prediction), torch.from_numpy(self.target), torch.from_numpy(self.mask)


@pytest.fixture(scope="session")
def proteins() -> Table:
    """Proteins by ridge regression on expression, a fifth of the cells missing: of one feature two are left, and one is
    constant."""
    if not OMICS.is_dir():
        pytest.skip("needs ../shared/data/omics")
    x, y = (read_table(OMICS / f"{name}.csv") for name in ("mrna", "protein"))
    x, mean = (x - x.mean(0)) / x.std(0), y.mean(0)
    weights = np.linalg.solve(x.T @ x + 100 * np.eye(x.shape[1]), x.T @ (y - mean))
    mask = np.random.default_rng(0).random(y.shape) < 0.8
    mask[:, 7] = np.arange(len(y)) < 2
    y[:, 11] = 0.25
    return Table(mean + x @ weights, np.where(mask, y, np.nan), mask)


def read_table(file: Path) -> np.ndarray:
    """The values of a table behind its first column."""
    rows = [line.split(",")[1:] for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    return np.array(rows, dtype=np.float64)
