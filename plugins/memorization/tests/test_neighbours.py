"""Nearest training items: as an exact search in float64 finds them, however the data come."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from stem_memorization import search as searching
from stem_memorization.neighbours import Nearest, Search
from stem_memorization.search import search

CPU = torch.device("cpu")


class Arrays:
    """Training items in memory, in batches that are in no order."""

    device = CPU

    def __init__(self, values: np.ndarray, batch: int = 61) -> None:
        self.values, self.batch, self.passes = values.astype(np.float32), batch, 0

    def each(self, take) -> None:
        self.passes += 1
        order = np.random.default_rng(3).permutation(len(self.values))
        for part in np.array_split(order, max(1, len(order) // self.batch)):
            take(torch.from_numpy(self.values[part]), torch.from_numpy(part))

    def rows(self, items: np.ndarray) -> np.ndarray:
        return self.values[items]


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    """Training items and queries far from the origin, some of them almost training items."""
    rng = np.random.default_rng(0)
    training = (50 + rng.standard_normal((700, 40)) * rng.uniform(0.2, 3, 40)).astype(np.float32)
    queries = (50 + rng.standard_normal((150, 40))).astype(np.float32)
    queries[:40] = training[100:140] + 1e-3 * rng.standard_normal((40, 40)).astype(np.float32)
    queries[40] = training[5]
    return training, queries


@pytest.mark.parametrize("group", [1 << 28, 4 * 40 * 32])
def test_they_are_those_of_an_exact_search(sets, monkeypatch, group) -> None:
    monkeypatch.setattr(searching, "GROUP_BYTES", group)
    monkeypatch.setattr(searching, "SOME_ITEMS", 100)
    training, queries = sets
    source = Arrays(training)
    found = search(source, queries)
    assert source.passes == (1 if group > 1 << 20 else 5)
    exact = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(training.astype(np.float64))
    distances, items = exact.kneighbors(queries.astype(np.float64))
    np.testing.assert_array_equal(found.items, items)
    np.testing.assert_array_equal(found.item, items[:, 0])
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6, atol=1e-5)
    # sklearn's own product of matrices is off where an item is met exactly; the difference is not
    apart = np.linalg.norm(queries.astype(np.float64) - training[found.item].astype(np.float64), axis=1)
    np.testing.assert_allclose(found.distance, apart, rtol=1e-12)
    assert found.distance[40] == 0
    alike = NearestNeighbors(n_neighbors=1, metric="cosine").fit(training.astype(np.float64))
    cosine, item = alike.kneighbors(queries.astype(np.float64))
    np.testing.assert_array_equal(found.cosine_item, item[:, 0])
    np.testing.assert_allclose(found.cosine, 1 - cosine[:, 0], atol=1e-12)


def test_an_item_that_does_not_count_is_passed_over(sets) -> None:
    training, _ = sets
    found = search(Arrays(training), training[:90], np.arange(90))
    exact = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(training.astype(np.float64))
    distances, items = exact.kneighbors(training[:90].astype(np.float64))
    np.testing.assert_array_equal(found.item, items[:, 1])
    np.testing.assert_allclose(found.distance, distances[:, 1], rtol=1e-6)
    assert (found.cosine_item != np.arange(90)).all()


@pytest.mark.parametrize("size", [1e9, 1e25])
def test_a_query_beyond_all_bounds_does_not_hide_the_others(sets, size) -> None:
    training, queries = sets
    found = search(Arrays(training), np.concatenate([queries, np.full((1, 40), size, np.float32)]))
    alone = search(Arrays(training), queries)
    np.testing.assert_array_equal(found.item[:-1], alone.item)
    np.testing.assert_allclose(found.distance[:-1], alone.distance)
    assert found.distance[-1] == pytest.approx(size * np.sqrt(40), rel=1e-3)


def test_few_training_items_leave_candidates_empty() -> None:
    training = np.eye(3, 5, dtype=np.float32)
    found = search(Arrays(training, batch=2), np.ones((2, 5), np.float32))
    assert found.items[:, 3:].tolist() == [[-1] * 5] * 2
    assert np.isinf(found.distances[:, 3:]).all()
    np.testing.assert_allclose(found.cosine, 1 / np.sqrt(5))


def test_items_of_nothing_but_zeros_have_no_cosine() -> None:
    found = search(Arrays(np.zeros((4, 3))), np.ones((1, 3), np.float32))
    assert found.cosine[0] == 0
    assert found.distance[0] == pytest.approx(np.sqrt(3))


def test_products_are_in_float32_whatever_a_recipe_has_set(sets) -> None:
    training, queries = sets
    torch.set_float32_matmul_precision("medium")
    try:
        finder = Search(torch.from_numpy(queries))
        finder.add(torch.from_numpy(training), torch.arange(len(training)))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def nearest_of(distances, between) -> Nearest:
    distances, between = np.array([distances], float), np.array([between], float)
    items = np.arange(distances.shape[1])[None]
    return Nearest(items[:, 0], distances[:, 0], np.ones(1), items[:, 0], distances, items, between)


@pytest.mark.parametrize(
    ("distances", "between", "ratio"),
    [
        ([1.0, 4.0, 5.0], [0, 3, 4], 0.25),
        ([1.0, 1.1, 5.0], [0, 0.1, 4], 0.2),  # the second is the first once more
        ([0.0, 0.0, 5.0], [0, 0.0, 5], 0.0),  # a copy of what is there twice
        ([1.0, 1.0, 1.1], [0, 0.0, 0.1], 0.1),  # all are one: the usual distance counts
        ([4.0, 5.0, 6.0], [0, 3, 4], 0.8),
    ],
)
def test_the_ratio_is_to_the_next_item_that_is_another(distances, between, ratio) -> None:
    assert nearest_of(distances, between).ratio(same=0.5, usual=10.0)[0] == pytest.approx(ratio)
