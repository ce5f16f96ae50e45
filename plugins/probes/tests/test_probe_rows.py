from __future__ import annotations

import numpy as np
import pytest
from stem_probes.rows import RAW_VALUES, raw_inputs, rows_of
from stem_probes.targets import Targets

CODES = np.array([0, -1, 1, 1, 0, -1])


def of_codes(codes: np.ndarray) -> Targets:
    return Targets(codes, ("a", "b"), "labels")


def test_items_of_a_scan(items) -> None:
    latents = np.random.default_rng(0).normal(size=(2, 3, 5))
    rows = rows_of(latents, of_codes(CODES), items(6, scan=(2, 3)), 0.5, None)
    np.testing.assert_array_equal(rows.features, latents.reshape(6, 5)[CODES >= 0])
    assert rows.item.tolist() == [0, 2, 3, 4]
    assert rows.place.tolist() == [[0, 0], [0, 2], [1, 0], [1, 1]]
    assert (rows.target.tolist(), rows.extent, rows.within) == ([0, 1, 1, 0], (2, 3), False)


def test_features_of_any_shape(items) -> None:
    latents = np.random.default_rng(0).normal(size=(6, 5, 2, 3))
    rows = rows_of(latents, of_codes(CODES), items(6), 0.5, None)
    np.testing.assert_allclose(rows.features, latents[CODES >= 0].mean(axis=(2, 3)))
    rows = rows_of(latents[..., 0], of_codes(CODES), items(6), 0.5, None)
    np.testing.assert_array_equal(rows.features, latents[CODES >= 0, :, :, 0].reshape(4, -1))
    assert (rows.place, rows.extent) == (None, None)


def test_raw_inputs_in_physical_units_without_what_does_not_count(items) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 99, (6, 2, 3, 3)).astype(np.uint16)
    mask = rng.random(counts.shape) < 0.7
    of = items(input=counts, mask=mask, specs={"input": {"scale": 0.5, "offset": 1.0}})
    rows = rows_of(np.zeros((6, 4)), of_codes(CODES), of, 0.5, None)
    wanted = np.where(mask, counts * 0.5 + 1.0, np.nan)[CODES >= 0]
    np.testing.assert_allclose(raw_inputs(rows, of, None), wanted.reshape(4, -1))
    maps = np.tile(CODES[:, None, None], (1, 3, 3))
    places = rows_of(np.zeros((6, 4, 1, 1)), of_codes(maps), of, 0.5, None)
    np.testing.assert_allclose(raw_inputs(places, of, None), np.nanmean(wanted, axis=(2, 3)), rtol=1e-6)


def test_large_images_are_averaged_over_blocks(items) -> None:
    images = np.random.default_rng(0).normal(size=(3, 1, 130, 128)).astype(np.float32)
    of = items(input=images)
    rows = rows_of(np.zeros((3, 4)), of_codes(np.array([0, 1, 1])), of, 0.5, None)
    raw = raw_inputs(rows, of, None)
    assert raw.shape == (3, 44 * 43)
    assert raw.shape[1] <= RAW_VALUES
    blocks = raw.reshape(3, 44, 43)
    np.testing.assert_allclose(blocks[1, 2, 5], images[1, 0, 6:9, 15:18].mean(), rtol=1e-5)
    np.testing.assert_allclose(blocks[2, 43, 42], images[2, 0, 129:, 126:].mean(), rtol=1e-5)


def test_several_inputs_stand_side_by_side(items) -> None:
    a, b = np.arange(8.0).reshape(4, 2), np.arange(12.0).reshape(4, 3)
    of = items(input_a=a, input_b=b, tissue=np.zeros(4, np.int64))
    rows = rows_of(np.zeros((4, 4)), of_codes(np.array([1, -1, 0, 1])), of, 0.5, None)
    np.testing.assert_array_equal(raw_inputs(rows, of, None), np.concatenate([a, b], axis=1)[[0, 2, 3]])


@pytest.mark.parametrize("own_grid", [False, True])
def test_labels_of_pixels_or_of_places(items, own_grid) -> None:
    rng = np.random.default_rng(0)
    of = items(input=rng.normal(size=(2, 3, 6, 9)))
    latents = rng.normal(size=(2, 4, 2, 3))
    codes = rng.integers(0, 2, (2, 2, 3))
    given = codes if own_grid else codes.repeat(3, axis=1).repeat(3, axis=2)
    rows = rows_of(latents, of_codes(given), of, 0.5, None)
    np.testing.assert_array_equal(rows.target, codes.ravel())
    np.testing.assert_array_equal(rows.features, np.moveaxis(latents, 1, -1).reshape(-1, 4))
    assert raw_inputs(rows, of, None).shape == (12, 3)
