"""Samples of latents come out as images, by the decoder of the run whose latents they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stem_diffusion.item_noise import ItemNoise
from stem_diffusion.store_examples import recipe

from stemcore import UserError, load_recipe, load_run
from stemcore import run as train
from stemcore.assemble import assemble
from stemcore.cli.main import execute


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An autoencoder, its latents, and a diffusion model of them."""
    folder = tmp_path_factory.mktemp("latents")
    train(recipe(), output=folder / "ae")
    assert execute(["embed", str(folder / "ae"), "--out", str(folder / "latents.h5")]) == 0
    train(diffusion(folder), output=folder / "run")
    return folder


def diffusion(folder: Path, autoencoder: str = "ae") -> dict[str, Any]:
    model = {"type": "diffusion_mlp", "hidden": 8, "layers": 1, "timesteps": 10}
    return {
        "name": "latents",
        "data": {"train": {"type": "latents", "path": str(folder / "latents.h5")}, "val": 0.1, "batch_size": 1024},
        "model": {**model, "autoencoder": str(folder / autoencoder)},
        "losses": {"denoising": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 1},
        "loggers": [],
        "figures": {},
    }


def test_samples_are_what_the_decoder_makes_of_the_latents(folder, tmp_path) -> None:
    out = tmp_path / "samples"
    assert execute(["sample", str(folder / "run"), "-n", "5", "--batch-size", "2", "--out", str(out)]) == 0
    latents, samples = np.load(out / "latents.npy"), np.load(out / "samples.npy")
    encoder = load_run(folder / "ae").frozen()
    images = encoder.to_physical("prediction", encoder.model.decode(torch.from_numpy(latents))["prediction"])
    np.testing.assert_allclose(samples, images, rtol=1e-4, atol=1e-4)
    model = load_run(folder / "run").frozen()
    noise = ItemNoise(42, 0, (5, 3), torch.device("cpu"))
    *_, drawn = model.model.sampling(noise(), {}, noise)
    np.testing.assert_allclose(latents, drawn / model.fields["input"].scale, rtol=1e-3, atol=1e-4)
    assert sorted(p.name for p in (out / "png").iterdir()) == [f"{k:06d}.png" for k in range(5)]
    low, high = json.loads((out / "samples.json").read_text())["pixel_range"]
    with Image.open(out / "png" / "000003.png") as picture:
        expected = np.round(255 * np.clip((samples[3, 0] - low) / (high - low), 0, 1))
        np.testing.assert_allclose(np.asarray(picture), expected, atol=1)


def test_the_decoder_is_no_part_of_what_is_trained(folder) -> None:
    weights = torch.load(folder / "run" / "checkpoints" / "best.ckpt", weights_only=True)["weights"]
    assert not [name for name in weights if "autoencoder" in name]


def test_a_decoder_of_other_latents_is_refused(folder) -> None:
    train({**recipe(), "seed": 1}, output=folder / "other")
    given = load_recipe(diffusion(folder, "other"))
    with pytest.raises(UserError, match="the latents were made by another run than"):
        assemble(given)
