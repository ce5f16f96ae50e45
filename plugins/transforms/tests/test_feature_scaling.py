"""Scaling of each feature, against scikit-learn on real tables."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from stem_transforms.fitted_transforms import MinMax, Standardize, ZScore
from stem_transforms.robust import Robust

from stemcore import FieldSpec, Transform, UserError

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics"
KINDS = {
    "standardize": lambda spec: Standardize(spec, by="feature"),
    "zscore": ZScore,
    "minmax": lambda spec: MinMax(spec, by="feature"),
    "robust": Robust,
}


def table(name: str = "brca_jive/mirna.csv", missing: float = 0.1) -> np.ndarray:
    """A real table with cells left out, and a feature that is the same everywhere."""
    path = OMICS / name
    if not path.is_file():
        pytest.skip("needs ../shared/data/omics")
    x = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=np.float32)[:, 1:]
    x[np.random.default_rng(0).random(x.shape) < missing] = np.nan
    x[:, 2] = 0.1
    return x


def spec_of(x: np.ndarray, finite: bool = False) -> FieldSpec:
    return FieldSpec("input_b", x.shape[1:], finite=finite, features=tuple(f"mir{k}" for k in range(x.shape[1])))


def fit(transform: Transform, x: np.ndarray, sizes: tuple[int, ...] = (), mask: np.ndarray | None = None) -> Transform:
    cuts = np.cumsum(sizes)
    masks = [None] * (len(cuts) + 1) if mask is None else np.split(mask, cuts)
    for part, valid in zip(np.split(x, cuts), masks, strict=True):
        transform.update(torch.from_numpy(part), None if valid is None else torch.from_numpy(valid))
    transform.finish()
    return transform


@pytest.mark.parametrize("sizes", [(), (1, 0, 99, 40)])
@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("zscore", StandardScaler()),
        ("minmax", MinMaxScaler()),
        ("robust", RobustScaler()),
    ],
)
@pytest.mark.parametrize("name", ["brca_jive/mirna.csv", "brca_jive/expression.csv"])
def test_scaling_is_that_of_scikit_learn(kind: str, theirs: object, sizes: tuple[int, ...], name: str) -> None:
    x = table(name)
    train, later = x[:278], x[278:]
    theirs.fit(train.astype(np.float64))  # type: ignore[attr-defined]
    ours = fit(KINDS[kind](spec_of(x)), train, sizes)
    for rows in (train, later):
        expected = theirs.transform(rows.astype(np.float64))  # type: ignore[attr-defined]
        np.testing.assert_allclose(ours(torch.from_numpy(rows)).numpy(), expected, rtol=1e-5, atol=2e-5)
    back = ours.inverse(ours(torch.from_numpy(later)))
    torch.testing.assert_close(back, torch.from_numpy(later), rtol=1e-5, atol=1e-5, equal_nan=True)


def test_standardize_by_feature_divides_by_one_less() -> None:
    x = table(missing=0.3)
    ours = fit(Standardize(spec_of(x), by="feature"), x)
    exact = np.delete(x.astype(np.float64), 2, axis=1)
    std = np.delete(ours.std.numpy(), 2)  # type: ignore[union-attr,operator]
    np.testing.assert_allclose(std, np.nanstd(exact, axis=0, ddof=1), rtol=1e-6)


def test_other_quantiles_are_those_of_scikit_learn() -> None:
    x = table()
    theirs = RobustScaler(quantile_range=(10, 90)).fit(x.astype(np.float64))
    ours = fit(Robust(spec_of(x), quantiles=(10, 90)), x)
    np.testing.assert_allclose(ours.spread.numpy(), theirs.scale_, rtol=1e-6)  # type: ignore[union-attr,operator]
    with pytest.raises(UserError, match=r"\[90, 10\] are not in order"):
        Robust(spec_of(x), quantiles=(90, 10))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_mask_leaves_out_is_as_missing(kind: str) -> None:
    x = table(missing=0.0)
    mask = np.random.default_rng(5).random(x.shape) < 0.8
    masked = fit(KINDS[kind](spec_of(x, finite=True)), x, (100,), mask)
    left_out = fit(KINDS[kind](spec_of(x)), np.where(mask, x, np.float32(np.nan)), (100,))
    torch.testing.assert_close(masked.state_dict(), left_out.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_do_not_vary_are_divided_by_one_and_named(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    x = table()
    x[:, 7] = 1e6
    with caplog.at_level(logging.INFO, logger="stemcore"):
        ours = fit(KINDS[kind](spec_of(x)), x, (30, 200))
    assert "features of 'input_b' that do not vary are divided by 1: mir2, mir7" in caplog.text
    y = ours(torch.from_numpy(x) + 1)[:, [2, 7]]
    torch.testing.assert_close(y, torch.ones_like(y))


def test_a_feature_with_a_spread_of_one_is_not_called_flat(caplog: pytest.LogCaptureFixture) -> None:
    x = np.stack([np.arange(5.0), [0.0, 1.0, 1.5, 2.0, 3.0], [4.0] * 4 + [9.0]], axis=1).astype(np.float32)
    with caplog.at_level(logging.INFO, logger="stemcore"):
        ours = fit(Robust(spec_of(x)), x)
    assert ours.spread.tolist() == [2.0, 1.0, 1.0]  # type: ignore[union-attr,operator]
    assert "features of 'input_b' that do not vary are divided by 1: mir2\n" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_features_without_values_or_with_infinite_ones_are_named(kind: str) -> None:
    x = table()
    x[3, 4] = np.inf
    with pytest.raises(UserError, match=f"{kind}: the training values of 'input_b' hold NaN or infinity in mir4"):
        fit(KINDS[kind](spec_of(x)), x)
    x[:, 4] = np.nan
    with pytest.raises(UserError, match=f"{kind}: 'input_b' has no training value of mir4;"):
        fit(KINDS[kind](spec_of(x)), x)
    with pytest.raises(UserError, match="hold NaN or infinity in mir0, mir1, mir3, mir4, mir5 and"):
        fit(KINDS[kind](spec_of(x, finite=True)), x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_equal_rows_is_refused(kind: str) -> None:
    x = np.repeat(table(missing=0.0)[:1], 6, axis=0)
    with pytest.raises(UserError, match="constant in every feature"):
        fit(KINDS[kind](spec_of(x)), x)


@pytest.mark.parametrize("by", ["field", "feature"])
def test_missing_values_do_not_count_and_pass_through(by: str) -> None:
    x = table()
    flat = x[~np.isnan(x)].astype(np.float64)
    ours = fit(Standardize(spec_of(x), by=by), x, (50,))  # type: ignore[arg-type]
    if by == "field":
        found = [float(ours.mean), float(ours.std)]  # type: ignore[arg-type]
        np.testing.assert_allclose(found, [flat.mean(), flat.std(ddof=1)], rtol=1e-6)
    assert torch.equal(torch.isnan(ours(torch.from_numpy(x))), torch.from_numpy(np.isnan(x)))
