"""Standardising about the mean pattern."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_transforms.fitted_transforms import Standardize
from stem_transforms.moments import PixelMoments

from stemcore import FieldSpec, UserError

SHAPE = (1, 6, 5)
SPEC = FieldSpec("input", SHAPE)


@pytest.fixture
def patterns() -> np.ndarray:
    """A bright spot that is the same everywhere, and noise that is not."""
    rng = np.random.default_rng(3)
    spot = np.zeros(SHAPE)
    spot[0, 2, 2] = 1e4
    return (spot + rng.gamma(2.0, 3.0, (50, *SHAPE))).astype(np.float32)


def fitted(x: np.ndarray, sizes: tuple[int, ...], mask: np.ndarray | None = None) -> Standardize:
    transform = Standardize(SPEC, mean="pattern")
    cuts = np.cumsum(sizes)[:-1]
    masks = [None] * len(sizes) if mask is None else np.split(mask, cuts)
    for part, valid in zip(np.split(x, cuts), masks, strict=True):
        transform.update(torch.from_numpy(part), None if valid is None else torch.from_numpy(valid))
    transform.finish()
    return transform


@pytest.mark.parametrize("sizes", [(50,), (1, 49), (20, 20, 10)])
def test_mean_pattern_and_the_spread_about_it_are_numpys(patterns: np.ndarray, sizes: tuple[int, ...]) -> None:
    transform = fitted(patterns, sizes)
    x = patterns.astype(np.float64)
    np.testing.assert_allclose(transform.mean.numpy(), x.mean(axis=0), rtol=1e-6)
    spread = np.sqrt(((x - x.mean(axis=0)) ** 2).sum() / (x.size - 1))
    assert float(transform.std) == pytest.approx(spread, rel=1e-6)
    y = transform(torch.from_numpy(patterns))
    assert y.mean(dim=0).abs().max() < 1e-3
    torch.testing.assert_close(transform.inverse(y), torch.from_numpy(patterns), rtol=1e-6, atol=1e-2)


def test_masked_values_do_not_count(patterns: np.ndarray) -> None:
    mask = np.random.default_rng(0).random(patterns.shape) < 0.7
    mask[:, 0, 0, 0] = False
    held = np.where(mask, patterns.astype(np.float64), np.nan)
    dirty = np.where(mask, patterns, np.float32(np.nan))
    transform = fitted(dirty, (30, 20), mask)
    counted = mask.any(axis=0)
    np.testing.assert_allclose(transform.mean.numpy()[counted], np.nanmean(held[:, counted], axis=0), rtol=1e-6)
    assert transform.mean[0, 0, 0] == 0
    squares = np.nansum((held[:, counted] - np.nanmean(held[:, counted], axis=0)) ** 2)
    assert float(transform.std) == pytest.approx(np.sqrt(squares / (mask.sum() - 1)), rel=1e-6)


def test_identical_patterns_are_refused(patterns: np.ndarray) -> None:
    with pytest.raises(UserError, match="all patterns are the same"):
        fitted(np.repeat(patterns[:1], 10, axis=0), (10,))


def test_no_fixed_shape_has_no_mean_pattern() -> None:
    with pytest.raises(UserError, match="varying shape"):
        Standardize(FieldSpec("input", (1, None, 5)), mean="pattern")


def test_the_buffers_have_their_shapes_before_the_fit() -> None:
    state = Standardize(SPEC, mean="pattern").state_dict()
    assert state["mean"].shape == SHAPE
    assert state["std"].shape == ()
    assert PixelMoments().count == 0
