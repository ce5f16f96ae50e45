"""The simple predictions that a model is compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from stemcore import Dataset, FieldSpec, load_recipe
from stemcore.assemble import assemble
from stemcore.data.source import Source, whole
from stemcore.runs.baselines import Mean, Pca, Zeros, _spread, fit_baselines
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


class Blocks(Dataset):
    """Numbers in blocks of ``length``, each item as large as ``side`` squared float32; remembers what was read."""

    def __init__(self, items: int, length: int, side: int = 4) -> None:
        self.items, self.length, self.side = items, length, side

    def __len__(self) -> int:
        return self.items

    @property
    def fields(self) -> dict[str, FieldSpec]:
        return {"input": FieldSpec("input", (1, self.side, self.side))}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("too large to read")

    def blocks(self) -> list[np.ndarray]:
        return np.array_split(np.arange(self.items), self.items // self.length)


@pytest.mark.parametrize(
    ("items", "length", "side", "blocks"),
    [
        (100_000, 16, 4, 256),
        (100_000, 1, 4, 4096),
        (100_000, 10_000, 4, 10),  # all there are
        (100_000, 100, 128, 256),
        (100_000, 500, 256, 16),  # 131 MB each: decoding more of them would take too long
    ],
)
def test_a_large_source_is_sampled_in_blocks_that_lie_far_apart(
    items: int, length: int, side: int, blocks: int
) -> None:
    dataset = Blocks(items, length, side)
    for source in (whole(dataset), Source(dataset, np.flatnonzero(np.arange(items) % 5))):
        found = _spread(source, 4096)
        assert len(found) == len(np.unique(found)) <= 4096
        assert len(found) >= 0.75 * 4096
        assert np.isin(found, source.indices).all()
        assert (np.diff(found) > 0).all()
        assert len(np.unique(found // length)) <= blocks * len(dataset) / len(source)  # as many items from more
        assert found[0] < items * 0.01
        assert found[-1] > items * 0.99
        assert np.diff(found).max() <= 1.05 * items / min(blocks, 256)


def test_few_items_are_all_taken() -> None:
    source = Source(Blocks(1000, 16), np.arange(0, 1000, 3))
    assert np.array_equal(_spread(source, 4096), source.indices)


def test_baselines_are_those_of_the_training_split(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path]
) -> None:
    patterns = bundled_patterns()[:600]
    train = {"type": "hdf5", "path": str(scan_file(patterns=patterns, chunks=(7, 16, 16), compression="gzip"))}
    parts = assemble(load_recipe(small(data={"train": train, "transforms": {"input": ["log1p"]}})))
    parts.pipeline.wanted |= {"target@physical"}
    found = fit_baselines(parts, parts.sources.train, 4, torch.device("cpu"))
    wanted = torch.from_numpy(patterns[parts.sources.train.indices].astype(np.float32))[:, None]
    torch.testing.assert_close(found["mean"](wanted[:1]), wanted.mean(0, keepdim=True))
    torch.testing.assert_close(found["pca4"](wanted), Pca(wanted, 4)(wanted), rtol=1e-3, atol=1e-3)
    assert len(parts.sources.train) > 256
