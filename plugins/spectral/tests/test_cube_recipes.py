"""The shipped recipes on a real scene: what they fill in beside what needs no training."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.interpolate import griddata

import stemcore
from stemcore import UserError, load_recipe, load_run

ROOT = Path(__file__).resolve().parents[3]
SCENE = ROOT.parent / "shared/data/hyperspectral/jasper_ridge.h5"


@pytest.fixture
def scene() -> Path:
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    return SCENE


@pytest.mark.parametrize("name", ["hyperspectral-mae", "hyperspectral-scene"])
def test_without_a_path_they_say_so(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(name)
    assert [p.message for p in caught.value.problems] == ["data.train.path is required"]


def test_the_original_settings() -> None:
    recipe = load_recipe("hyperspectral-mae", ["data.train.path=cubes.csv"])
    assert {k: t.weight for k, t in recipe.losses.items()} == {
        **{"mse_masked": 1.0, "sam": 0.1},
        **{"spectral_variance": 0.01, "range_penalty": 0.001},
    }
    model = recipe.model.arguments
    assert (model["size"], model["patch"], model["mask_ratio"]) == ("medium", [5, 25, 25], 0.8)
    assert (recipe.data.batch_size, recipe.trainer.max_epochs, recipe.trainer.val_every_n_epochs) == (6, 200, 5)
    assert recipe.optimizer["default"].component.entry.name == "adamw"


def test_a_short_training_beats_what_needs_none(scene: Path, tmp_path: Path) -> None:
    overrides = [f"data.train.path={scene}", "data.folds=4", "data.fold=2", "data.train.stride=10", "figures=null"]
    stemcore.run("hyperspectral-scene", overrides=[*overrides, "trainer.max_epochs=2"], output=tmp_path / "run")
    run = load_run(tmp_path / "run")
    loaded, source = run.load()
    tiles = run.items()["val"].index
    assert len(tiles) == 4  # a region the model was not trained on
    cubes = source.dataset.read(np.asarray(tiles))["input"]
    batch = loaded.parts.pipeline({"input": torch.from_numpy(cubes), "index": torch.as_tensor(tiles)})
    with torch.no_grad():
        outputs = loaded.model.eval()(batch["input"], index=batch["index"])
        found = loaded.parts.supply.chains["input"].inverse(outputs["prediction"]).numpy()
    ours, mean, nearest = (np.zeros(2) for _ in range(3))
    for cube, filled, where in zip(cubes, found, outputs["hidden"].numpy()[:, 0], strict=True):
        assert 0.7 < where.mean() < 0.8
        seen = cube[:, ~where].T
        ours += errors(filled[:, where].T, cube[:, where].T)
        mean += errors(seen.mean(0, keepdims=True), cube[:, where].T)
        nearest += errors(griddata(np.argwhere(~where), seen, np.argwhere(where), "nearest"), cube[:, where].T)
    assert (ours < mean).all()
    assert (ours < nearest).all()


def errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean squared error, and mean angle in radians, of spectra (n, bands)."""
    cosine = (found * true).sum(1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1))
    return np.array([np.square(found - true).mean(), np.arccos(cosine.clip(-1, 1)).mean()])


@pytest.mark.slow
def test_hidden_patches_are_filled_in_better_than_by_linear_interpolation(scene: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("hyperspectral_benchmark", ROOT / "benchmarks" / "hyperspectral.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    options = argparse.Namespace(
        **{"scene": scene, "recipe": "hyperspectral-scene", "changes": []},
        **{"masks": [42], "seeds": [42], "folds": [0, 1, 2, 3]},
    )
    with h5py.File(scene) as file:
        found = benchmark.measure(options, file["Cube/Images"][()], tmp_path)
    (psnr, angle), (linear, linear_angle) = found["ours"][0], found["linear interpolation"][0]
    # As published with the data: 21.19 dB, 11.63 degrees.
    assert linear == pytest.approx(21.19, abs=0.01)
    assert linear_angle == pytest.approx(11.63, abs=0.01)
    assert psnr > linear + 0.5
    assert angle < linear_angle - 1.0
