"""``stem embed`` on runs: what is in the store, drawn and gone on with."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal

import h5py
import numpy as np
import pytest
from stem_diffusion import embedding
from stem_diffusion.embedding import drawn
from stem_diffusion.latent_store import StoreWriter, part_of
from stem_diffusion.latents import Latents
from stem_diffusion.store_examples import recipe

import stemcore
from stemcore import UserError, load_recipe
from stemcore.assemble import assemble
from stemcore.cli.main import execute


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a variational run and the mean latents of its data."""
    folder = tmp_path_factory.mktemp("embed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        stemcore.run(recipe(variational=True), output=folder / "ae")
        assert embed("--out mean.h5") == 0
    return folder


@pytest.fixture(autouse=True)
def _here(place, monkeypatch) -> None:
    monkeypatch.chdir(place)


def embed(options: str) -> int:
    return execute(["-q", "embed", "ae", *shlex.split(options)])


def test_the_store_has_the_latents_that_encode_gives_and_says_where_they_are_from(place) -> None:
    run = stemcore.load_run("ae")
    train = run.items()["train"]
    with h5py.File("mean.h5") as store:
        latents = store["latents"][()]
        np.testing.assert_array_equal(latents, run.encode().reshape(-1, 3))
        assert store.attrs["sha256"] == hashlib.sha256(run.checkpoint.read_bytes()).hexdigest()
        assert store.attrs["run"] == str((place / "ae").resolve())
        assert store.attrs["source"] == stemcore.load_run("ae").load()[1].dataset.fingerprint()
        assert json.loads(store.attrs["source_files"])[0].endswith("ws2_wse2_32.h5")
        assert tuple(store.attrs["scan_shape"]) == (32, 40)
        assert store.attrs["scale_factor"] == pytest.approx(1 / latents[train.index].astype(np.float64).std())
        assert store.attrs["posterior"] == "mean"
        assert set(store["fields"]) == {"label", "expected"}
        np.testing.assert_array_equal(store["fields/label"][()], run.all_items().read()["label"])
    parts = Latents(path="mean.h5").parts
    assert {name: (parts == name).sum() for name in ("train", "val")} == {"train": 1152, "val": 128}
    np.testing.assert_array_equal(np.flatnonzero(parts == "train"), train.index)


def test_draws_are_of_the_posterior_and_the_same_in_batches_of_any_size(place) -> None:
    assert embed("--out a.h5 --posterior sample --seed 3 --fields none") == 0
    assert embed("--out b.h5 --posterior sample --seed 3 --fields none --batch-size 333") == 0
    assert embed("--out c.h5 --posterior sample --seed 4 --fields label") == 0
    a, b, c = (Latents(path=f"{name}.h5").values("input") for name in "abc")
    np.testing.assert_allclose(a, b, atol=1e-6)
    mean = Latents(path="mean.h5").values("input")
    assert np.abs(a - mean).mean() > 0.1
    assert np.abs(a - c).mean() > 0.1
    assert list(Latents(path="a.h5").fields) == ["input"]
    assert list(Latents(path="c.h5").fields) == ["input", "label"]


def test_the_noise_of_draws_is_normal() -> None:
    mu, logvar = np.full((4000, 5), 2.0, np.float32), np.full((4000, 5), 2 * np.log(3.0), np.float32)
    values = drawn(mu, logvar, np.arange(4000), 0)
    assert values.mean() == pytest.approx(2, abs=5 * 3 / np.sqrt(20_000))
    assert values.std() == pytest.approx(3, rel=0.03)
    assert abs(np.corrcoef(values.T) - np.eye(5)).max() < 0.08


def test_a_call_that_was_interrupted_is_gone_on_with(place, monkeypatch, capsys) -> None:
    put, items = StoreWriter.put, []

    def stopped(self, latents, *rest) -> None:
        items.append(len(latents))
        put(self, latents, *rest)
        if len(items) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(StoreWriter, "put", stopped)
    monkeypatch.setattr(embedding, "SAVE_SECONDS", 0.0)
    assert embed("--out again.h5 --batch-size 100") == 130
    assert part_of(place / "again.h5").exists()
    assert not (place / "again.h5").exists()
    assert embed("--out again.h5 --batch-size 100 --fields label") == 2
    assert "a store was begun here that differs in fields" in capsys.readouterr().err
    assert embed("--out again.h5 --batch-size 200") == 0
    assert sum(items) == 1280
    with h5py.File("again.h5") as again, h5py.File("mean.h5") as mean:
        np.testing.assert_allclose(again["latents"][()], mean["latents"][()], atol=1e-6)
        np.testing.assert_array_equal(again["fields/label"][()], mean["fields/label"][()])
        assert again.attrs["scale_factor"] == pytest.approx(mean.attrs["scale_factor"], rel=1e-6)


def test_items_keep_their_numbers_where_chunks_span_lines_of_the_scan(place, monkeypatch) -> None:
    with h5py.File(stemcore.load_run("ae").load()[1].dataset.files[0]) as sample, h5py.File("tiled.h5", "w") as file:
        patterns = sample["patterns"][()].reshape(32, 40, 64, 64)[:, :20]
        file.create_dataset("patterns", data=patterns, chunks=(8, 5, 64, 64))
    given = recipe()
    given["data"]["train"] = {"type": "hdf5", "path": "tiled.h5", "dataset": "patterns"}
    run = stemcore.run(given, output=place / "tiled")
    monkeypatch.setattr(embedding, "SAVE_SECONDS", 0.0)
    put = StoreWriter.put

    def stopped(self, *given) -> None:
        put(self, *given)
        if self.done == 300:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(StoreWriter, "put", stopped)
    assert execute(["-q", "embed", "tiled", "--out", "tiles.h5", "--batch-size", "100"]) == 130
    assert execute(["-q", "embed", "tiled", "--out", "tiles.h5", "--batch-size", "64"]) == 0
    latents = Latents(path="tiles.h5").values("input")
    np.testing.assert_allclose(latents, run.encode().reshape(-1, 3), atol=1e-4)


@pytest.fixture(scope="module")
def other(place):
    """Another run than that of the store."""
    return stemcore.run({**recipe(variational=True), "seed": 9}, output=place / "other")


def test_a_store_of_another_run_than_the_recipe_names_is_refused_with_its_line(place, other) -> None:
    given = {**recipe(), "data": {"train": {"type": "latents", "path": "mean.h5", "autoencoder": "other"}, "val": 0.1}}
    given["model"] = {"type": "conv_autoencoder", "latent_dim": 2, "channels": [2]}
    with pytest.raises(UserError, match=r"the latents were made by .*/ae \(SHA-256 \w{12}\), not by .*other \("):
        assemble(load_recipe(given))
    assert Latents(path="mean.h5", autoencoder=stemcore.load_run("ae")).run == str(place / "ae")


def test_a_decoder_takes_the_latents_of_its_own_encoder_alone(place, other) -> None:
    given = {**recipe(), "data": {"train": {"type": "latents", "path": "mean.h5"}, "split": "given"}}
    given["model"] = {"type": "diffusion_mlp", "hidden": 8, "layers": 1, "autoencoder": "ae"}
    given["losses"] = {"denoising": {}}
    parts = assemble(load_recipe(given))
    assert parts.spec["input"].scale == pytest.approx(Latents(path="mean.h5").scale_factor)
    given["model"]["autoencoder"] = "other"
    with pytest.raises(UserError, match=r"the latents were made by another run than .*other"):
        assemble(load_recipe(given))
