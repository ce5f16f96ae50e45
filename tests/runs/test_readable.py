"""Readable copies of the fitted transforms."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemcore import DataSpec, FieldSpec, load_recipe, run
from stemcore.data.chain import Chain
from stemcore.data.intake import Intake
from stemcore.data.pipeline import Pipeline
from stemcore.runs.readable import write_transforms

NAMES = ("TP53", "a,b", 'say "x"', "µ", "flat")
STEPS = [
    {"type": "log", "eps": 1e-3},
    {"type": "impute", "method": "knn", "neighbors": 2},
    {"type": "zscore"},
    {"type": "zscore"},
]


@pytest.fixture
def values() -> np.ndarray:
    x = np.random.default_rng(0).gamma(2.0, 3.0, (30, 5)).astype(np.float32) - 1
    x[3, 1] = np.nan
    x[:, 4] = 0.1
    return x


def written(
    directory: Path, small: Callable[..., dict[str, Any]], values: np.ndarray, spec: FieldSpec, steps: list[Any]
) -> Pipeline:
    """Fits the transforms, one after another, and writes their copies."""
    document = small()
    document["data"]["transforms"] = {"input": steps}
    components = load_recipe(document).data.transforms
    chain = Chain(spec, [(c.entry.name, c.build) for c in components["input"]])
    x = torch.from_numpy(values)
    for step in chain.transforms():
        step.update(x)
        step.finish()
        x = step(x)
    pipeline = Pipeline(Intake(DataSpec({"input": spec, "bare": FieldSpec("bare", (2,))})), {"input": chain})
    write_transforms(directory, pipeline, components)
    return pipeline


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["feature"]: row for row in csv.DictReader(file)}


def test_a_table_has_a_row_per_feature_and_a_column_per_number(
    tmp_path: Path, small: Callable[..., dict[str, Any]], values: np.ndarray
) -> None:
    spec = FieldSpec("input", (5,), finite=False, features=NAMES)
    pipeline = written(tmp_path, small, values, spec, STEPS)
    rows = rows_of(tmp_path / "transforms" / "input.csv")
    assert tuple(rows) == NAMES
    columns = ["impute.mean", "zscore.mean", "zscore.std", "zscore_2.mean", "zscore_2.std"]
    assert list(rows["flat"]) == ["feature", *columns]
    buffers: Mapping[str, torch.Tensor] = dict(pipeline.named_buffers())
    exact = {"impute.mean": "1.fill", "zscore.mean": "2.mean", "zscore_2.std": "3.std"}
    for column, buffer in exact.items():
        read = np.array([row[column] for row in rows.values()], np.float32)
        np.testing.assert_array_equal(read, buffers[f"chains.input.steps.{buffer}"].numpy())


def test_the_document_has_every_step_with_its_configuration_and_numbers(
    tmp_path: Path, small: Callable[..., dict[str, Any]], values: np.ndarray
) -> None:
    spec = FieldSpec("input", (5,), finite=False, features=NAMES)
    pipeline = written(tmp_path, small, values, spec, STEPS)
    document = json.loads((tmp_path / "transforms" / "input.json").read_text())
    assert document["field"] == "input"
    log, impute, zscore, _ = document["steps"]
    assert log["configuration"]["eps"] == 1e-3
    assert log["fitted"]["shift"] == pytest.approx(1e-3 - float(np.nanmin(values)), rel=1e-6)
    assert (impute["type"], impute["configuration"]["neighbors"], impute["fitted"]["rows"]) == ("impute", 2, 30)
    std = dict(pipeline.named_buffers())["chains.input.steps.2.std"]
    low, high = zscore["fitted"]["std"]["min"], zscore["fitted"]["std"]["max"]
    assert (np.float32(low), np.float32(high)) == (float(std.min()), float(std.max()))
    assert zscore["fitted"]["std"]["shape"] == [5]
    assert sorted(path.name for path in (tmp_path / "transforms").iterdir()) == ["input.csv", "input.json"]


def test_what_is_not_finite_is_null(tmp_path: Path, small: Callable[..., dict[str, Any]]) -> None:
    document = small()
    document["data"]["transforms"] = {"input": [{"type": "standardize"}, {"type": "zscore"}]}
    components = load_recipe(document).data.transforms
    chain = Chain(FieldSpec("input", (2,), features=("a", "b")), [(c.type, c.build) for c in components["input"]])
    write_transforms(tmp_path, Pipeline(Intake(DataSpec({})), {"input": chain}), components)
    text = (tmp_path / "transforms" / "input.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["steps"][0]["fitted"] == {"mean": None, "std": None}
    assert json.loads(text)["steps"][1]["fitted"]["mean"] == {"shape": [2], "min": None, "max": None}
    assert rows_of(tmp_path / "transforms" / "input.csv")["a"]["zscore.mean"] == ""


def test_a_run_of_patterns_has_no_table_of_pixels(tmp_path: Path, small: Callable[..., dict[str, Any]]) -> None:
    document = small(trainer={"max_epochs": 1})
    document["data"]["transforms"]["input"][-1] = {"type": "standardize", "mean": "pattern"}
    trained = run(document, output=tmp_path / "run", fast_dev_run=True)
    folder = trained.directory / "transforms"
    assert [path.name for path in folder.iterdir()] == ["input.json"]
    steps = json.loads((folder / "input.json").read_text())["steps"]
    assert [step["type"] for step in steps] == ["bin", "log1p", "standardize"]
    weights = torch.load(trained.checkpoint, weights_only=True)["weights"]
    std = weights["transforms.chains.input.steps.2.std"]
    assert np.float32(steps[2]["fitted"]["std"]) == std.numpy()
    assert steps[2]["fitted"]["mean"]["shape"] == [1, 16, 16]
