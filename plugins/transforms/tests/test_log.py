"""The logarithm with a fitted shift."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from stem_transforms.log import Log

from stemcore import FieldSpec, UserError
from stemcore.recipe import load_recipe

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics"


def table(name: str) -> np.ndarray:
    path = OMICS / name
    if not path.is_file():
        pytest.skip("needs ../shared/data/omics")
    return np.genfromtxt(path, delimiter=",", skip_header=1, dtype=np.float32)[:, 1:]


def fitted(x: np.ndarray, mask: np.ndarray | None = None, **config: object) -> Log:
    names = tuple(f"g{k}" for k in range(x.shape[1]))
    transform = Log(FieldSpec("input", x.shape[1:], finite=False, minimum=-99.0, features=names), **config)  # type: ignore[arg-type]
    cut = len(x) // 3
    for rows in (slice(0, cut), slice(cut, None)):
        transform.update(torch.from_numpy(x[rows]), None if mask is None else torch.from_numpy(mask[rows]))
    transform.finish()
    return transform


@pytest.mark.parametrize(("base", "log"), [("e", np.log), ("2", np.log2), ("10", np.log10)])
def test_positive_data_are_not_shifted(base: str, log: np.ufunc) -> None:
    x = table("nci60_arrays/hgu133.csv")
    transform = fitted(x, base=base)
    assert float(transform.shift) == 0
    y = transform(torch.from_numpy(x))
    np.testing.assert_allclose(y.numpy(), log(x.astype(np.float64)), rtol=1e-6)
    torch.testing.assert_close(transform.inverse(y), torch.from_numpy(x), rtol=1e-5, atol=0)
    assert transform.out_spec().minimum is None


def test_the_smallest_training_value_is_taken_to_eps_and_said(caplog: pytest.LogCaptureFixture) -> None:
    x = table("breast_tcga/protein.csv")
    with caplog.at_level(logging.INFO, logger="stemcore"):
        transform = fitted(x[:100], eps=0.5)
    shift = 0.5 - float(x[:100].min())
    assert float(transform.shift) == pytest.approx(shift, rel=1e-7)
    assert f"log: 'input' is shifted by {shift:.6g}" in caplog.text
    y = transform(torch.from_numpy(x[:100]))
    np.testing.assert_allclose(y.numpy(), np.log(x[:100].astype(np.float64) + shift), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(transform.inverse(y), torch.from_numpy(x[:100]), rtol=0, atol=1e-5)


def test_values_below_the_training_minimum_are_taken_as_it() -> None:
    x = table("brca_jive/expression.csv")[:50]
    transform = fitted(x)
    y = transform(torch.tensor([[x.min()], [x.min() - 7]]))
    assert y.flatten().tolist() == pytest.approx([math.log(1e-8)] * 2)
    back = transform.inverse(y).flatten()
    assert back.tolist() == pytest.approx([float(x.min())] * 2)


def test_tiny_positive_data_are_not_cut_at_eps() -> None:
    x = np.array([[1e-12], [1e-10]], np.float32)
    y = fitted(x)(torch.from_numpy(x))
    assert float(y[1]) > float(y[0])
    assert fitted(x, eps=1e-13).shift == 0


def test_missing_values_pass_and_do_not_count() -> None:
    x = table("breast_tcga/protein.csv")
    holes, mask = x.copy(), np.ones(x.shape, bool)
    least = np.unravel_index(x.argmin(), x.shape)
    holes[least], mask[least] = np.nan, False
    expected = fitted(np.where(mask, x, x.max()))
    for transform in (fitted(holes), fitted(x, mask)):
        assert transform.shift == expected.shift > 0
    assert torch.isnan(fitted(holes)(torch.from_numpy(holes))).sum() == 1


def test_a_shift_for_each_feature(caplog: pytest.LogCaptureFixture) -> None:
    x = table("breast_tcga/mirna.csv")
    x[4, 9] = -3.0
    with caplog.at_level(logging.INFO, logger="stemcore"):
        shift = fitted(x, by="feature", eps=0.01).shift
    assert "features of 'input' are shifted by up to 3.01: g9" in caplog.text
    assert float(shift[9]) == pytest.approx(3.01)
    assert int((shift != 0).sum()) == 1


def test_nothing_to_fit_on_and_infinite_values_are_refused() -> None:
    x = table("breast_tcga/mirna.csv")
    x[:, 3] = np.nan
    with pytest.raises(UserError, match="log: 'input' has no training value of g3"):
        fitted(x, by="feature")
    with pytest.raises(UserError, match="no valid training values"):
        fitted(np.full_like(x, np.nan))
    x[0, 8] = -np.inf
    with pytest.raises(UserError, match="'input' hold NaN or infinity"):
        fitted(x)


def test_yaml_reads_1e_8_as_a_number(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "stem: 1\nname: t\ndata:\n  train: {type: sample}\n"
        "  transforms: {input: [{type: log, eps: 1e-8}]}\n"
        "model: {type: conv_autoencoder, latent_dim: 4}\nlosses: {mse: {}}\n"
    )
    (log,) = load_recipe(path).data.transforms["input"]
    assert log.arguments["eps"] == 1e-8
    assert isinstance(log.arguments["eps"], float)
