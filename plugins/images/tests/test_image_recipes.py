"""The shipped recipes of image autoencoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stem_images.recipe_examples import write_images

from stemcore import load_recipe, load_run, run
from stemcore.progress import Reporter


def test_the_original_settings() -> None:
    recipe = load_recipe("image-autoencoder", ["data.train.path=images.csv"])
    weights = {name: term.weight for name, term in recipe.losses.items()}
    assert weights == {"mse": 1.0, "segmentation": 0.05, "classification": 0.01}
    optimizer = recipe.optimizer["default"].component
    assert (optimizer.entry.name, optimizer.arguments["lr"], optimizer.arguments["weight_decay"]) == (
        "adamw",
        1e-4,
        0.01,
    )
    assert recipe.model.arguments["preset"] == "S1"
    assert (recipe.data.batch_size, recipe.seed) == (16, 42)
    assert recipe.trainer.early_stopping is not None
    assert recipe.trainer.early_stopping.patience == 3


def test_a_short_training_learns_all_three(tmp_path: Path) -> None:
    """Spots in two colours: their images better than the mean colour, pixels and classes better than the commonest."""
    table = write_images(tmp_path)
    overrides = [
        *(f"data.train.path={table}", "data.train.mask_classes=[background,spot]", "data.train.size=32"),
        *(
            "trainer.max_epochs=8",
            "data.batch_size=2",
            "model.width=8",
            "figures=null",
            "losses.classification.weight=0.1",
        ),
    ]
    run("image-autoencoder-small", overrides=overrides, output=tmp_path / "run", reporter=Reporter())
    scores = load_run(tmp_path / "run").summary["final"]
    images = np.stack([np.load(path) for path in sorted(tmp_path.glob("image_*.npy"))]) / 127.5 - 1
    constant = 10 * np.log10(4 / images.var((2, 3)).mean(1)).mean()
    assert scores["val/psnr"] > constant + 2
    assert scores["val/miou"] > 0.6
    assert scores["val/accuracy"] == pytest.approx(1.0)
