"""The data set of latents: read in any order, scaled, with parts and labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from stem_diffusion.latents import Latents
from stem_diffusion.store_examples import latents as example

import stemcore
from stemcore import UserError, load_recipe
from stemcore.assemble import assemble


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return Path(example(tmp_path_factory.mktemp("store")).config["path"])


def recipe(path: Path, **data) -> dict:
    return {
        "stem": 1,
        "name": "codes",
        "data": {"train": {"type": "latents", "path": str(path)}, "split": "given", "batch_size": 32, **data},
        "model": {"type": "conv_autoencoder", "latent_dim": 2, "channels": [2]},
        "losses": {"mse": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 1},
        "backend": "cpu",
        "loggers": [],
        "figures": {},
    }


def test_stored_values_are_what_the_decoder_takes_and_physical_ones_have_unit_spread(path) -> None:
    data = Latents(path=path)
    spec = data.fields["input"]
    values = data.values("input")
    trains = data.parts == "train"
    assert spec.scale * values[trains].astype(np.float64).std() == pytest.approx(1, rel=1e-2)
    assert spec.scale * values.astype(np.float64).std() == pytest.approx(1, rel=1e-6)
    assert Latents(path=path, scale_factor=0.25).fields["input"].scale == 0.25
    assert spec.source == "0" * 64
    assert data.item_names[7] == "item 7"
    assert data.scan_shape == (15, 20)
    shuffled = np.random.default_rng(0).permutation(300)[:120]
    rows = data.read(shuffled)
    np.testing.assert_array_equal(rows["input"], values[shuffled])
    np.testing.assert_array_equal(rows["label"], data.values("label")[shuffled])
    np.testing.assert_array_equal(rows["condition"], data.values("condition")[shuffled])


def test_blocks_are_the_chunks_of_the_file(path) -> None:
    blocks = Latents(path=path).blocks()
    assert [len(b) for b in blocks] == [64, 64, 64, 64, 44]  # 128 KiB of 8 x 8 x 8 float32


def test_a_run_is_trained_on_the_items_that_trained_the_encoder(path, tmp_path) -> None:
    run = stemcore.run(recipe(path), output=tmp_path / "run")
    assert {name: len(items) for name, items in run.items().items()} == {"train": 150, "val": 150}
    assert run.fields["input"].source == "0" * 64


def test_latents_of_another_encoder_are_refused_wherever_they_meet(path, tmp_path) -> None:
    other = tmp_path / "other.h5"
    shutil.copy(path, other)
    with h5py.File(other, "r+") as file:
        file.attrs["sha256"] = "f" * 64
    given = recipe(path, val={"type": "latents", "path": str(other)})
    with pytest.raises(UserError, match=r"data\.val: 'input' was made by another run than that of the training data"):
        assemble(load_recipe(given))
    run = stemcore.run(recipe(path), output=tmp_path / "run")
    with pytest.raises(UserError, match="'input' was made by another run than what this one was trained on"):
        run.encode(data=other)


def test_what_is_no_store_is_named(tmp_path) -> None:
    with h5py.File(tmp_path / "notes.h5", "w") as file:
        file["latents"] = np.zeros((4, 2))
    with pytest.raises(UserError, match="it is no latent store"):
        Latents(path=tmp_path / "notes.h5")
