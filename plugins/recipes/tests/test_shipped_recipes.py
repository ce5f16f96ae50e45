from __future__ import annotations

import pytest
from stem_recipes.plugin import stem_recipes

from stemcore import UserError, load_recipe
from stemcore.plugins.shipped import shipped_path
from stemcore.recipe.schema import json_schema

NAMES = sorted(stem_recipes())
NEEDS_A_PATH = sorted(set(NAMES) - {"stem4d-quick"})


def read(name: str, *overrides: str):
    path = ["data.train.path=/data/scan.h5"] if name in NEEDS_A_PATH else []
    return load_recipe(name, [*path, *overrides])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_and_stays_so_when_written(name: str) -> None:
    recipe = read(name)
    assert recipe.name == name
    assert load_recipe(recipe.document()) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_with_what_it_is_for(name: str) -> None:
    from stemcore.plugins import catalogue

    text = shipped_path(catalogue().find("recipe", name)).read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"stem run {name}" in text


@pytest.mark.parametrize("name", NEEDS_A_PATH)
def test_without_a_path_it_says_so(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(name)
    assert [p.message for p in caught.value.problems] == ["data.train.path is required"]


def test_every_flag_of_the_training_script_has_its_default() -> None:
    recipe = read("stem4d")
    arguments = {k: t.component.arguments for k, t in recipe.losses.items()}
    assert [t.type for t in recipe.data.transforms["input"]] == ["log1p", "standardize"]
    assert (recipe.data.val, recipe.data.batch_size, recipe.seed) == (0.2, 128, 42)
    assert recipe.model.arguments["latent_dim"] == 128
    assert recipe.optimizer["default"].component.arguments["lr"] == 1e-3
    assert recipe.scheduler is not None
    assert recipe.scheduler.arguments["max_lr_factor"] == 3.33
    trainer = recipe.trainer
    assert (trainer.max_epochs, trainer.precision, trainer.devices) == (50, "32", 1)
    assert (trainer.accumulate_grad_batches, trainer.gradient_clip_val, trainer.compile) == (1, 1.0, False)
    assert {k: t.weight for k, t in recipe.losses.items()} == {"mse": 1.0, "lp": 1e-5}
    assert arguments["lp"]["p"] == 1.0


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.train.type=tensor", "data.train.path=/data/train.pt"],
        ["data.transforms.input=[log1p]"],
        ["data.val=0"],
        ["model.latent_dim=256", "model.type=resnet_autoencoder"],
        ["data.transforms.input=[{type: resize, size: [256, 256]}, log1p, standardize]"],
        ["scheduler=null"],
        ["trainer.precision=16"],
        ["trainer.precision=bf16"],
        [f"losses.{name}.weight=1e-4" for name in ("lp", "contrastive", "divergence", "l2", "kl")],
        ["backend=cpu"],
        ["trainer.devices=2", "trainer.compile=true", "trainer.profile=true", "trainer.accumulate_grad_batches=4"],
        ["data.num_workers=4", "data.pin_memory=true", "data.persistent_workers=true"],
        ["metrics.psnr.every_n_steps=10"],
        ["losses.mse=null", "losses.huber.weight=1"],
        ["losses.mse=null", "losses.ssim.weight=1"],
        ["trainer.checkpoint.every_n_epochs=5"],
    ],
)
def test_every_flag_of_the_training_script_has_its_key(overrides: list[str]) -> None:
    changed = read("stem4d", *overrides).document()
    assert changed != read("stem4d").document()


def test_the_guides_settings() -> None:
    recipe = read("stem4d-guide")
    weights = {k: t.weight for k, t in recipe.losses.items()}
    assert weights == {"mse": 1.0, "lp": 1e-4, "contrastive": 5e-5, "divergence": 2e-4}
    assert (recipe.model.arguments["latent_dim"], recipe.data.batch_size, recipe.trainer.max_epochs) == (32, 1024, 100)
    assert recipe.losses["contrastive"].component.arguments["mode"] == "margin"
    assert recipe.metrics["psnr"].every_n_steps == recipe.metrics["ssim"].every_n_steps == 50


def test_the_variational_one() -> None:
    recipe = read("stem4d-vae")
    assert recipe.model.arguments["variational"] is True
    assert list(recipe.losses) == ["mse", "kl"]


def test_editors_know_the_built_in_components() -> None:
    definitions = json_schema()["$defs"]
    assert "conv_autoencoder" in definitions["model.name"]["enum"]
    assert "models/conv_autoencoder" in str(definitions["model.qualified"])
