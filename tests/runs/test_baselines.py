"""The simple predictions that a model is compared with."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from stemcore.runs.baselines import Mean, Pca, Zeros
from tests.conftest import bundled_patterns


def test_pca_of_square_roots_is_scikit_learns() -> None:
    counts = bundled_patterns()[:400].astype(np.float32)
    reference = PCA(8, svd_solver="full")
    roots = np.sqrt(counts.astype(np.float64)).reshape(400, -1)
    expected = np.clip(reference.inverse_transform(reference.fit_transform(roots)), 0, None) ** 2
    found = Pca(torch.from_numpy(counts)[:, None], 8)(torch.from_numpy(counts)[:, None])
    error = np.sqrt(np.mean((found.numpy().reshape(400, -1) - expected) ** 2)) / expected.std()
    assert error < 0.01


def test_negative_values_are_not_rooted() -> None:
    x = torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Pca(x, 16)(x), x, rtol=1e-3, atol=1e-4)


def test_mean_and_zeros() -> None:
    x = torch.arange(8.0).reshape(2, 1, 2, 2)
    assert torch.equal(Mean(x)(x[:1]), x.mean(dim=0, keepdim=True))
    assert not Zeros()(x).any()
