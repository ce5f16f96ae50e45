"""``stem memorization`` on nuclei: planted copies are found, images that no model has seen are not."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stem_memorization.views import View

import stemcore
from stemcore.cli.main import execute

NUCLEI = Path(__file__).resolve().parents[4] / "shared" / "data" / "images" / "dsb2018_nuclei_128"
EDGE = 32
RECIPE = {
    "name": "nuclei",
    "seed": 3,
    "data": {"train": {"type": "images", "path": "train"}, "val": 0.15, "batch_size": 64},
    "model": {"type": "conv_autoencoder", "latent_dim": 32, "channels": [16, 32], "blocks": 0},
    "losses": {"mse": {}},
    "optimizer": {"type": "adam", "lr": 3e-3},
    "trainer": {"max_epochs": 4, "val_every_n_epochs": 4},
    "backend": "cpu",
    "loggers": [],
    "figures": {},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An autoencoder of 532 nuclei images at 32 x 32, and 132 images that neither it nor its validation has seen."""
    if not NUCLEI.is_dir():
        pytest.skip("needs ../shared/data/images")
    folder = tmp_path_factory.mktemp("nuclei")
    with (NUCLEI / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    parts = {part: np.stack([image(r["id"]) for r in rows if r["split"] == part]) for part in ("train", "test")}
    for part, images in parts.items():
        (folder / part).mkdir()
        for k, pixels in enumerate(images):
            Image.fromarray(pixels).save(folder / part / f"{k:03d}.png")
        np.save(folder / f"{part}.npy", (images.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        stemcore.run(RECIPE, output=folder / "ae")
    return folder


def image(name: str) -> np.ndarray:
    return np.asarray(
        Image.open(NUCLEI / "images" / f"{name}.png").convert("RGB").resize((EDGE, EDGE), Image.Resampling.BOX)
    )


@pytest.fixture(autouse=True)
def _here(place, monkeypatch) -> None:
    monkeypatch.chdir(place)


def judge(capsys, options: str) -> dict:
    assert execute(["-q", "memorization", "ae", *shlex.split(options), "--top", "4", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("space", ["pixel", "latent"])
def test_images_that_no_model_has_seen_are_not_flagged(place, capsys, space) -> None:
    found = judge(capsys, f"--samples test.npy --space {space} --out fresh-{space} --planted 32")
    assert found["share"] < 0.01
    assert found["verdict"] == "none"
    # The cosine alone would say otherwise: dark images with a few bright nuclei are all alike.
    assert found["by_cosine_alone"]["verdict"] == "significant"
    assert found["samples"] == 132
    assert found["reference"] == "held-out items"
    recall = {(p["kind"], p["strength"]): p["found"] for p in found["perturbations"]}
    assert recall["noise", 0.0] == recall["noise", 0.1] == 1.0
    strengths = [p["found"] for p in found["perturbations"] if p["kind"] == "noise"]
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("space", ["pixel", "latent"])
def test_planted_copies_are_found_each_with_its_origin(place, capsys, space) -> None:
    train = stemcore.load_run("ae").items()["train"]
    images, test = np.load("train.npy"), np.load("test.npy")
    origin = train.index[5:45:2]
    copies = images[origin] + np.float32(0.01) * np.random.default_rng(0).standard_normal(
        (20, 3, EDGE, EDGE), np.float32
    )
    np.save("mixed.npy", np.concatenate([test[:80], copies]))
    out = f"mixed-{space}"
    found = judge(capsys, f"--samples mixed.npy --space {space} --out {out} --perturb none")
    assert found["share"] == pytest.approx(0.2, abs=0.011)
    assert found["verdict"] == "significant"
    with (place / out / "memorization.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["nearest"]) for r in rows[80:]] == origin.tolist()
    assert all(r["copy"] == "1" for r in rows[80:])
    assert sum(r["copy"] == "1" for r in rows[:80]) <= 1
    assert [Path(f).name for f in found["files"]] == ["memorization.json", "memorization.csv", "closest.png"]
    picture = np.asarray(Image.open(place / out / "closest.png").convert("RGB"))
    assert min(picture.shape[:2]) > 200
    assert picture.std() > 20


def test_a_model_that_repeats_itself_has_little_diversity(place, capsys) -> None:
    np.save("same.npy", np.repeat(np.load("test.npy")[:2], 20, axis=0))
    found = judge(capsys, "--samples same.npy --perturb none --out same")
    assert found["diversity"]["repeated"] == 1.0
    assert (
        found["diversity"]["relative"]
        < judge(capsys, "--samples test.npy --perturb none --out x")["diversity"]["relative"]
    )


def test_a_threshold_for_scripts_and_a_table_for_people(place, capsys) -> None:
    np.save("copies.npy", np.load("train.npy")[:40])
    assert (
        execute(["-q", "memorization", "ae", "--samples", "copies.npy", "--perturb", "none", "--fail-on", "minimal"])
        == 1
    )
    printed = capsys.readouterr().out
    assert "40 samples against 452 training items, in pixel space; beside them 80 held-out items" in printed
    assert "significant" in printed
    assert (
        execute(["-q", "memorization", "ae", "--samples", "test.npy", "--perturb", "none", "--fail-on", "minimal"]) == 0
    )


def test_other_data_stand_in_for_the_runs_own(place, capsys) -> None:
    found = judge(capsys, "--samples train.npy --data test --perturb none --out other")
    assert (found["training_items"], found["reference"]) == (132, "training items, each without itself")
    assert found["verdict"] == "none"


def test_samples_of_another_size_are_refused_by_name(place, capsys) -> None:
    np.save("small.npy", np.zeros((4, 3, 16, 16), np.float32))
    assert execute(["-q", "memorization", "ae", "--samples", "small.npy"]) == 2
    assert "small.npy: the samples have shape (3, 16, 16), the run's items (3, 32, 32)" in capsys.readouterr().err


def test_the_closest_are_drawn_as_pictures_in_latent_space_too(place) -> None:
    view = View(stemcore.load_run("ae"), "latent")
    latents = view.samples(place / "test.npy")[:3]
    pictures = view.pictures(latents)
    assert pictures.shape == (3, 3, EDGE, EDGE)
    expected = stemcore.load_run("ae").predictor()
    given = expected.model.decode(torch.from_numpy(latents).to(expected.device))["prediction"]
    np.testing.assert_allclose(pictures, expected.physical("prediction", given).detach().cpu().numpy(), atol=1e-5)
