from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stem_spectral.data_examples import mixed

from stemcore import run


def test_simple_predictions_are_scored_on_what_the_model_was_not_shown(tmp_path: Path) -> None:
    np.save(tmp_path / "scene.npy", mixed(6, 24, 16).astype(np.float32))
    sizes = {"embed_dim": 4, "depth": 1, "heads": 1, "decoder_dim": 4, "decoder_depth": 0, "decoder_heads": 1}
    document = {
        "stem": 1,
        "name": "hidden",
        "data": {"train": {"type": "hyperspectral", "path": str(tmp_path / "scene.npy"), "tile": 4}, "val": 0.25},
        "model": {"type": "mae_spectral", "patch": [3, 2, 2], "mask_ratio": 0.75, "masking": "tube", **sizes},
        "losses": {"mse_masked": {}},
        "metrics": {"cube_mse": {}},
        "trainer": {"max_epochs": 1},
        "figures": {},
    }
    trained = run(document, output=tmp_path / "run")
    scores = trained.evaluate(data=tmp_path / "scene.npy")["scores"]
    assert list(scores) == ["model", "zeros", "mean"]  # PCA would be shown what is hidden.
    items = trained.all_items(tmp_path / "scene.npy")
    cubes = torch.from_numpy(items.read()["input"])
    hidden = trained.load()[0].model.eval()(cubes, index=torch.from_numpy(items.index))["hidden"]
    assert scores["zeros"]["cube_mse"] == pytest.approx(cubes[hidden].square().mean().item(), rel=1e-5)
    assert scores["zeros"]["cube_mse"] != pytest.approx(cubes.square().mean().item(), rel=1e-3)
