"""What is fitted to a table comes from its training rows alone."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stemcore import Dataset, DataSpec, FieldSpec, load_recipe
from stemcore.data.chain import Chain
from stemcore.data.fit import fit
from stemcore.data.intake import Intake
from stemcore.data.loader import Loader
from stemcore.data.pipeline import Pipeline
from stemcore.data.source import Source
from stemcore.data.split import Split, split
from stemcore.progress import reporter

OMICS = Path(__file__).resolve().parents[3] / "shared" / "data" / "omics" / "breast_tcga"
LOG = {"type": "log", "eps": 1e-3}
CHAINS = {
    "mean": [LOG, {"type": "impute"}, "zscore"],
    "median": [LOG, {"type": "impute", "method": "median"}, {"type": "minmax", "by": "feature"}],
    "knn": [{"type": "log", "by": "feature"}, "robust", {"type": "impute", "method": "knn"}],
    "field": ["standardize", "minmax", {"type": "impute", "method": "zero"}],
}


class Table(Dataset):
    """A table in memory with missing cells, and the part that each row is in."""

    def __init__(self, values: np.ndarray, parts: list[str]) -> None:
        self.values, self._parts = values, parts

    def __len__(self) -> int:
        return len(self.values)

    @property
    def fields(self) -> dict[str, FieldSpec]:
        features = tuple(f"p{k}" for k in range(self.values.shape[1]))
        return {
            "input_a": FieldSpec("input_a", self.values.shape[1:], finite=False, features=features),
            "mask_a": FieldSpec("mask_a", self.values.shape[1:], "bool", like="input_a"),
        }

    @property
    def parts(self) -> list[str]:
        return self._parts

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        rows = self.values[indices]
        return {"input_a": rows, "mask_a": ~np.isnan(rows)}

    def fingerprint(self) -> str:
        return hashlib.sha256(self.values.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def protein() -> Table:
    """Real protein levels, a tenth of them left out, with the rows that are held out for testing."""
    if not OMICS.is_dir():
        pytest.skip("needs ../shared/data/omics")
    x = np.genfromtxt(OMICS / "protein.csv", delimiter=",", skip_header=1, dtype=np.float32)[:, 1:]
    x[np.random.default_rng(2).random(x.shape) < 0.1] = np.nan
    with (OMICS / "protein.csv").open() as file:
        names = [row[0] for row in csv.reader(file)][1:]
    with (OMICS / "split.csv").open() as file:
        parts = {row["sample_id"]: row["split"] for row in csv.DictReader(file)}
    return Table(x, [parts[name] for name in names])


def rows_of(table: Table) -> Split:
    return split(table, val=0.2, test=0.0, by="given", seed=42)


def fitted(table: Table, steps: list[Any]) -> dict[str, Tensor]:
    """Every buffer after the fit, as a run makes it."""
    recipe = load_recipe(
        {
            "name": "tables",
            "data": {"train": {"type": "sample"}, "transforms": {"input_a": steps}},
            "model": {"type": "conv_autoencoder", "latent_dim": 4},
            "losses": {"mse": {}},
        }
    )
    spec = DataSpec(table.fields)
    chain = Chain(spec["input_a"], [(c.entry.name, c.build) for c in recipe.data.transforms["input_a"]])
    pipeline = Pipeline(Intake(spec), {"input_a": chain})
    rows = rows_of(table)
    describe = recipe.document()["data"]
    train, val = Source(table, rows.train), Source(table, rows.val)
    fit(pipeline, train, describe=describe, loader=Loader(), reporter=reporter(quiet=True), checked=[val])
    return pipeline.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(t.shape == other[n].shape and t.numpy().tobytes() == other[n].numpy().tobytes() for n, t in one.items())


@pytest.mark.parametrize("name", CHAINS)
def test_no_number_depends_on_rows_that_are_held_out(protein: Table, name: str) -> None:
    rows = rows_of(protein)
    assert (len(rows.train), len(rows.val), len(rows.test)) == (96, 24, 30)
    before = fitted(protein, CHAINS[name])
    assert before
    assert not any(torch.isnan(t).any() for n, t in before.items() if not n.endswith("table"))
    for held_out in (rows.test, rows.val):
        changed = protein.values.copy()
        changed[held_out] = np.random.default_rng(9).normal(-500, 1000, changed[held_out].shape)
        changed[held_out[::3]] = np.nan
        assert same(fitted(Table(changed, protein.parts), CHAINS[name]), before)


@pytest.mark.parametrize("name", CHAINS)
def test_every_fitted_step_depends_on_the_training_rows(protein: Table, name: str) -> None:
    before = fitted(protein, CHAINS[name])
    changed = protein.values.copy()
    changed[rows_of(protein).train[5]] -= 30
    after = fitted(Table(changed, protein.parts), CHAINS[name])
    steps = {n.rsplit(".", 1)[0] for n in before if not (name == "field" and n.endswith("fill"))}
    for step in steps:
        mine = {n: t for n, t in before.items() if n.startswith(step)}
        assert not same(mine, after), step


def test_the_numbers_are_those_of_the_training_rows(protein: Table) -> None:
    found = fitted(protein, ["zscore"])
    train = protein.values[rows_of(protein).train].astype(np.float64)
    np.testing.assert_allclose(
        found["chains.input_a.steps.0.mean"].numpy(), np.nanmean(train, axis=0), rtol=1e-5, atol=1e-6
    )
    mean, std = (found[f"chains.input_a.steps.0.{name}"].numpy() for name in ("mean", "std"))
    np.testing.assert_allclose(mean, np.nanmean(train, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, np.nanstd(train, axis=0), rtol=1e-5)
