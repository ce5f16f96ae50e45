"""What the options of cubes mean in a recipe."""

from __future__ import annotations

import numpy as np
import pytest

from stemcore import load_recipe
from stemcore.assemble import check
from stemcore.errors import UserError

SIZES = ("tiny", "small", "base", "medium", "large", "huge")
RECIPE = {
    "stem": 1,
    "data": {"train": {"type": "sample"}},
    "model": {"type": "mae_spectral", "size": "medium", "mask_ratio": 0.75},
    "losses": {"mse": {}},
}


@pytest.mark.parametrize("size", SIZES)
def test_models_keep_the_settings_of_the_recipe(size: str) -> None:
    recipe = load_recipe(RECIPE, ["model.masking=tube", f"model=mae_{size}"])
    chosen = {key: recipe.model.arguments[key] for key in ("size", "mask_ratio", "masking", "embed_dim")}
    assert chosen == {"size": size, "mask_ratio": 0.75, "masking": "tube", "embed_dim": None}


def test_a_size_takes_the_place_of_the_numbers_of_another() -> None:
    numbers = {"embed_dim": 16, "depth": 1, "heads": 2, "decoder_dim": 24, "decoder_depth": 1, "decoder_heads": 2}
    small = {**RECIPE, "model": {**RECIPE["model"], **numbers}}
    of_size = {**dict.fromkeys(numbers), "decoder_depth": 8}
    chosen = load_recipe(small, ["model=mae_small"]).model.arguments
    assert {key: chosen[key] for key in numbers} == of_size
    chosen = load_recipe(small, ["model.depth=2", "model=mae_small"]).model.arguments
    assert {key: chosen[key] for key in numbers} == {**of_size, "depth": 2}


def test_the_losses_take_the_place_of_others_with_their_published_weights() -> None:
    recipe = load_recipe(RECIPE, ["losses=mae_spectral"])
    weights = {key: (term.component.type, term.weight) for key, term in recipe.losses.items()}
    assert weights == {
        "mse_masked": ("mse_masked", 1.0),
        "sam": ("sam", 0.1),
        "spectral_variance": ("spectral_variance", 0.01),
        "range_penalty": ("range_penalty", 0.001),
    }


def test_the_optimizer_keeps_the_learning_rate_of_the_recipe() -> None:
    recipe = load_recipe({**RECIPE, "optimizer": {"type": "adamw", "lr": 7e-4}}, ["optimizer=adamw_mae"])
    arguments = recipe.optimizer["default"].component.arguments
    assert (arguments["lr"], list(arguments["betas"]), arguments["weight_decay"]) == (7e-4, [0.9, 0.95], 0.05)


def test_the_schedule_rises_first() -> None:
    schedule = load_recipe({**RECIPE, "scheduler": "cosine"}, ["scheduler=cosine_mae"]).scheduler
    assert (schedule.type, schedule.arguments["warmup_fraction"]) == ("warmup_cosine", 0.05)


def test_they_fit_together_on_cubes(tmp_path) -> None:
    np.save(tmp_path / "cubes.npy", np.random.default_rng(0).random((4, 10, 50, 50), np.float32))
    chosen = ["losses=mae_spectral", "figures=cubes", "optimizer=adamw_mae", "scheduler=cosine_mae"]
    train = [f"data.train={{type: tensor, path: {tmp_path / 'cubes.npy'}}}", "data.val=0.5"]
    for model in ("model=mae_tiny", "model=mae_large"):
        check(load_recipe(RECIPE, [*train, model, *chosen]))
    with pytest.raises(UserError, match="hidden"):
        check(load_recipe(RECIPE, [*train, "model=conv_autoencoder", *chosen]))
