"""Predictions that cost nothing, and the principal component analysis that the field uses."""

from __future__ import annotations

import h5py
import numpy as np
from stem_spectra.spectrum_image import SAMPLE


def sample() -> tuple[np.ndarray, np.ndarray]:
    """Counts and truth of the sample, (items, channels)."""
    with h5py.File(SAMPLE) as file:
        counts = file["Experiments/Fe and Pt particles/data"][:]
        truth = file["truth/abundances"][:] @ file["truth/spectra"][:]
    return counts.reshape(-1, counts.shape[-1]).astype(float), truth.reshape(-1, counts.shape[-1])


def weighted_pca(counts: np.ndarray, rank: int) -> np.ndarray:
    """Principal components of counts scaled to equal Poisson noise (Keenan and Kotula, Surf. Interface Anal. 36, 203
    (2004)), scaled back."""
    scale = np.sqrt(counts.mean(axis=1, keepdims=True)) * np.sqrt(counts.mean(axis=0, keepdims=True)) + 1e-9
    u, s, v = np.linalg.svd(counts / scale, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank] * scale


def errors(predictions: dict[str, np.ndarray], counts: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean square error to the truth of each prediction, over that of the raw counts."""
    raw = ((counts - truth) ** 2).mean()
    return {name: float(((p - truth) ** 2).mean() / raw) for name, p in predictions.items()}


def simple(counts: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The errors of the mean spectrum and of weighted principal components of 1 to 8 ranks."""
    found = {"mean spectrum": np.broadcast_to(counts.mean(axis=0), counts.shape)}
    found |= {f"weighted PCA, rank {rank}": weighted_pca(counts, rank) for rank in range(1, 9)}
    return errors(found, counts, truth)
