from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from stem_probes.places import edge_of, majority, means

from stemcore import UserError

JASPER = Path(__file__).resolve().parents[4] / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"


def one_by_one(labels: np.ndarray, edge: int, share: float) -> np.ndarray:
    """The majority of each place by counting."""
    n, height, width = labels.shape
    out = np.full((n, -(-height // edge), -(-width // edge)), -1)
    for k, y, x in np.ndindex(*out.shape):
        pixels = labels[k, y * edge : (y + 1) * edge, x * edge : (x + 1) * edge].ravel()
        counts = Counter(pixels[pixels >= 0].tolist()).most_common(2)
        alone = len(counts) == 1 or (len(counts) == 2 and counts[0][1] > counts[1][1])
        if alone and counts[0][1] >= share * len(pixels):
            out[k, y, x] = counts[0][0]
    return out


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("edge", [1, 2, 3, 4, 7, 20])
def test_majority(edge, share) -> None:
    rng = np.random.default_rng(edge)
    labels = rng.integers(-1, 3, (3, 8, 9))
    np.testing.assert_array_equal(majority(labels, edge, share), one_by_one(labels, edge, share))


def test_majority_in_a_scene() -> None:
    if not JASPER.is_file():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(JASPER) as file:
        labels = file["Cube/Labels"][()].astype(np.int64)[None] - 1
    for share in (0.5, 0.9):
        np.testing.assert_array_equal(majority(labels, 5, share), one_by_one(labels, 5, share))


def test_means_of_what_counts() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 4, 7, 10))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0, 0, :3, :3] = np.nan
    valid = rng.random(values.shape) < 0.8
    for counted in (None, valid):
        found = means(values, 3, counted)
        assert found.shape == (2, 4, 3, 4)
        assert np.isnan(found[0, 0, 0, 0])
        kept = values if counted is None else np.where(counted, values, np.nan)
        for y, x in ((0, 1), (2, 3), (1, 2)):
            block = kept[:, :, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
            count = np.isfinite(block).sum(axis=(2, 3))
            wanted = np.where(count > 0, np.nansum(block, axis=(2, 3)) / np.maximum(count, 1), np.nan)
            np.testing.assert_allclose(found[:, :, y, x], wanted, rtol=1e-12)


def test_how_large_places_are() -> None:
    assert edge_of((100, 100), (20, 20), None) == 5
    assert edge_of((100, 100), (13, 13), None) == 8  # 12.5: the last place has four pixels
    assert edge_of((9, 9), (3, 3), None) == 3
    assert edge_of((9, 9), (3, 3), 4) == 4
    assert edge_of((6, 9), (2, 3), None) == 3
    with pytest.raises(UserError, match="places of 25 to 32 pixels make 99 x 99 pixels and 4 x 4 places"):
        edge_of((99, 99), (4, 4), None)
    with pytest.raises(UserError, match="--place-size: places of 6 pixels do not make 100 x 100 pixels and 20 x 20"):
        edge_of((100, 100), (20, 20), 6)
    with pytest.raises(UserError, match="labels do not fit the features: 10 x 10 pixels and 5 x 2 places"):
        edge_of((10, 10), (5, 2), None)
