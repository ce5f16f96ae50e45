"""Missing values, against scikit-learn on real tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.metrics.pairwise import nan_euclidean_distances
from stem_transforms import neighbours
from stem_transforms import rows as rows_module
from stem_transforms.impute import Impute
from stem_transforms.neighbours import distances, from_neighbours

from stemcore import FieldSpec, UserError
from stemcore.data.chain import Chain
from stemcore.trainer.checkpoint import load_weights

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics"


def table(name: str, missing: float = 0.1, seed: int = 0) -> np.ndarray:
    """A real table with cells left out, one row wholly empty, and one feature measured in two rows."""
    path = OMICS / name
    if not path.is_file():
        pytest.skip("needs ../shared/data/omics")
    x = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=np.float32)[:, 1:]
    rng = np.random.default_rng(seed)
    x[rng.random(x.shape) < missing] = np.nan
    x[7] = np.nan
    x[2:, 5] = np.nan
    x[:2, 5] = [1.5, -2.5]
    return x


def fitted(x: np.ndarray, sizes: tuple[int, ...] = (), **config: object) -> Impute:
    spec = FieldSpec("input_a", x.shape[1:], finite=False, features=tuple(f"g{k}" for k in range(x.shape[1])))
    transform = Impute(spec, **config)  # type: ignore[arg-type]
    for part in np.split(x, np.cumsum(sizes)):
        transform.update(torch.from_numpy(part))
    transform.finish()
    return transform


@pytest.mark.parametrize("method", ["mean", "median"])
@pytest.mark.parametrize("sizes", [(), (1, 0, 13)])
def test_mean_and_median_are_those_of_scikit_learn(method: str, sizes: tuple[int, ...]) -> None:
    x = table("breast_tcga/mrna.csv")
    train, later = x[:100], x[100:]
    theirs = SimpleImputer(strategy=method).fit(train.astype(np.float64))
    ours = fitted(train, sizes, method=method)
    np.testing.assert_allclose(ours.fill.numpy(), theirs.statistics_, rtol=1e-6, atol=1e-6)
    filled = ours(torch.from_numpy(later))
    np.testing.assert_allclose(filled.numpy(), theirs.transform(later), rtol=1e-6, atol=1e-6)
    kept = ~np.isnan(later)
    np.testing.assert_array_equal(filled.numpy()[kept], later[kept])


@pytest.mark.parametrize(("neighbors", "missing"), [(1, 0.1), (5, 0.1), (5, 0.9), (200, 0.3)])
def test_nearest_neighbours_are_those_of_scikit_learn(
    neighbors: int, missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", 5000)
    x = table("nci60_arrays/agilent.csv", missing)
    train, later = x[:40], x[40:].copy()
    later[3] = np.nan
    kept = ~np.isnan(train).all(axis=0)
    train, later = train[:, kept], later[:, kept]
    theirs = KNNImputer(n_neighbors=neighbors).fit(train.astype(np.float64))
    ours = fitted(train, (7, 20), method="knn", neighbors=neighbors)
    for rows in (train, later):
        expected = theirs.transform(rows.astype(np.float64))
        exact = torch.from_numpy(rows.astype(np.float64))
        np.testing.assert_allclose(ours.double()(exact).numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ours.float()(exact.float()).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_distances_are_the_nan_euclidean_ones() -> None:
    x = table("breast_tcga/protein.csv", 0.6).astype(np.float64)
    x[3, 20:], x[4, :20] = np.nan, np.nan
    x[:2, 5] = np.nan
    expected = nan_euclidean_distances(x[:20], x) ** 2 / x.shape[1]
    assert np.isnan(expected).any()
    ours = distances(torch.from_numpy(x[:20]), torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours, np.where(np.isnan(expected), np.inf, expected), rtol=1e-9, atol=1e-9)


def test_a_large_offset_costs_no_neighbour_its_place() -> None:
    x = table("nci60_arrays/agilent.csv")
    exact = torch.from_numpy(x.astype(np.float64))
    zeros = torch.zeros(x.shape[1], dtype=torch.float64)
    near, far = (from_neighbours(exact + by, exact + by, zeros + by, 3) - by for by in (0.0, 1e6))
    torch.testing.assert_close(far, near, rtol=0, atol=1e-6)


def test_where_the_mask_is_false_a_training_value_is_missing() -> None:
    x = table("breast_tcga/mirna.csv")
    hidden = torch.from_numpy(np.random.default_rng(4).random(x.shape) < 0.9)
    hidden[:10] = True
    for method in ("mean", "median", "knn"):
        masked = Impute(FieldSpec("input_a", x.shape[1:], finite=False), method=method)  # type: ignore[arg-type]
        masked.update(torch.from_numpy(x), hidden)
        masked.finish()
        left_out = fitted(np.where(hidden.numpy(), x, np.nan), method=method)
        torch.testing.assert_close(masked.state_dict(), left_out.state_dict(), rtol=0, atol=0, equal_nan=True)


def test_zero_fills_zeros_in_a_field_of_any_shape() -> None:
    transform = Impute(FieldSpec("input", (2, None), finite=False), method="zero")
    x = torch.tensor([[[1.0, float("nan")], [float("nan"), 4.0]]])
    transform.update(x)
    transform.finish()
    assert transform(x).tolist() == [[[1.0, 0.0], [0.0, 4.0]]]
    assert transform.out_spec().finite


def test_gradients_go_to_what_was_measured() -> None:
    transform = fitted(table("breast_tcga/mirna.csv"), method="knn")
    x = torch.from_numpy(table("breast_tcga/mirna.csv")[:4]).requires_grad_()
    (gradient,) = torch.autograd.grad(transform(x).sum(), x)
    assert torch.equal(gradient, (~torch.isnan(x)).float())


@pytest.mark.parametrize("method", ["mean", "median", "knn"])
def test_features_without_a_training_value_are_named(method: str) -> None:
    x = table("breast_tcga/mirna.csv")
    x[:, [3, 9]] = np.nan
    with pytest.raises(UserError, match=f"method {method}: 'input_a' has no training value of g3, g9;"):
        fitted(x, method=method)
    x[:, 20:] = np.nan
    with pytest.raises(UserError, match=r"g3, g9, g20, g21, g22 and \d+ more"):
        fitted(x, method=method)


def test_infinite_training_values_are_refused_by_name() -> None:
    x = table("breast_tcga/mirna.csv")
    x[4, 11] = np.inf
    with pytest.raises(UserError, match="NaN or infinity in g11"):
        fitted(x)


def test_too_many_rows_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MOST_BYTES", 4 * 20 * 10)
    transform = Impute(FieldSpec("input", (20,)), method="knn")
    transform.update(torch.ones(10, 20))
    with pytest.raises(UserError, match="method knn holds all training rows of 'input' in memory") as caught:
        transform.update(torch.ones(1, 20))
    assert "\n" not in str(caught.value)


def test_rows_are_kept_though_the_batch_is_written_over() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    transform = Impute(FieldSpec("input", (4,)), method="knn")
    transform.update(x)
    x.zero_()
    transform.finish()
    assert transform.table.flatten().tolist() == list(range(12))


def test_a_checkpoint_brings_its_own_number_of_rows_and_nothing_else() -> None:
    x = table("breast_tcga/mirna.csv")
    transform = fitted(x, method="knn")
    spec = transform.spec
    chain, other = (Chain(s, [("impute", lambda s: Impute(s, method="knn"))]) for s in (spec, FieldSpec("b", (3,))))
    file = io.BytesIO()
    torch.save({f"transforms.steps.0.{n}": t for n, t in transform.state_dict().items()}, file)
    file.seek(0)
    weights = torch.load(file, weights_only=True)
    load_weights(weights, "transforms.", chain, "last.ckpt")
    rows = torch.from_numpy(x[:9])
    torch.testing.assert_close(chain(rows), transform(rows), rtol=0, atol=0)
    with pytest.raises(UserError, match=r"'steps.0.fill' is \(184,\), here \(3,\); 'steps.0.table' is"):
        load_weights(weights, "transforms.", other, "last.ckpt")
    with pytest.raises(UserError, match=r"'steps.0.table' is"):
        load_weights({**weights, "transforms.steps.0.table": torch.zeros(184)}, "transforms.", chain, "last.ckpt")
