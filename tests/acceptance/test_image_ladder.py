"""From images to samples that are steered by masks in one file, on photographs of nuclei."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import stemcore.trainer.loop as loop
from stemcore import load_run
from tests.acceptance.conftest import Stem

NUCLEI = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "images" / "dsb2018_nuclei_128"
STAGES = ("autoencoder", "latents", "diffusion", "control", "samples", "unsteered", "memorization")
SMALL = (
    "autoencoder.data.train.size=32",
    "autoencoder.data.train.mask_classes=[background,nucleus]",
    "autoencoder.data.val=0.25",
    "autoencoder.model.width=8",
    "autoencoder.trainer.max_epochs=2",
    "diffusion.model.channels=[8,16]",
    "diffusion.model.head_dim=8",
    "diffusion.model.attention=[]",
    "diffusion.model.steps=4",
    "diffusion.callbacks.samples.n=2",
    "diffusion.trainer.max_epochs=2",
    "control.callbacks.samples.n=2",
    "control.trainer.max_epochs=2",
    "samples.options.n=3",
    "unsteered.options.n=3",
    "memorization.options.planted=2",
)


@pytest.fixture
def nuclei(folder: Path) -> Path:
    """A table of 24 images, with masks and two classes."""
    if not NUCLEI.is_dir():
        pytest.skip("needs ../shared/data/images")
    with (NUCLEI / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dark = [row for row in rows if row["modality"].startswith("fluorescence")][:12]
    bright = [row for row in rows if row["modality"].startswith("stained")][:12]
    with (folder / "nuclei.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_path", "label", "mask_path"])
        for row in (*dark, *bright):
            files = (NUCLEI / kind / f"{row['id']}.png" for kind in ("images", "masks"))
            image, mask = files
            table.writerow([image, row["modality"].partition("_")[0], mask])
    return folder / "nuclei.csv"


def test_images_become_samples_steered_by_masks_and_a_stop_changes_nothing(
    nuclei: Path, folder: Path, stem: Stem, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", "image-ladder", "--output", "out", f"autoencoder.data.train.path={nuclei}", *SMALL)
    original = loop.Trainer._optimizer_step

    def stepping(self: loop.Trainer) -> None:
        original(self)
        if self.recipe.name == "image-ladder-diffusion" and self.state.step == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_optimizer_step", stepping)
        assert stem(*command).code == 130
    encoder = (folder / "out" / "autoencoder" / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    assert not (folder / "out" / "control").exists()

    said = stem(*command)
    assert said.code == 0, said
    assert [line.split()[0] for line in said.out.splitlines()[3:10]] == list(STAGES)
    assert (folder / "out" / "autoencoder" / "checkpoints" / "best.ckpt").stat().st_mtime_ns == encoder
    pictures_are_in_the_run_directories(folder / "out")
    masks_reach_the_samples(folder / "out")
    report = json.loads((folder / "out" / "memorization" / "report" / "memorization.json").read_text())
    assert (report["samples"], report["training_items"], report["reference_items"]) == (3, 18, 6)


def pictures_are_in_the_run_directories(out: Path) -> None:
    drawn = {
        "autoencoder/figures": ["loss.png", "image_grid_epoch002.png", "segmentation_overlay_epoch002.png"],
        "diffusion/figures": ["loss.png", "samples_epoch002.png"],
        "control/figures": ["loss.png", "samples_epoch002.png"],
        "samples/steered": ["grid.png", "conditions.png", "png/000002.png"],
        "unsteered/unsteered": ["grid.png", "conditions.png"],
        "memorization/report": ["closest.png"],
    }
    for place, names in drawn.items():
        for name in names:
            with Image.open(out / place / name) as image:
                assert np.ptp(np.asarray(image.convert("L"))) > 0, f"{place}/{name} is blank"


def masks_reach_the_samples(out: Path) -> None:
    """Samples are told the masks of items that no stage was trained on, and differ from those without."""
    control = load_run(out / "control")
    held_out = control.items()["val"].read()
    with h5py.File(out / "latents" / "latents.h5") as store:
        parts = store["parts"].asstr()[()]
        given = store["fields"]["label_map"][()][parts == "val"]
    np.testing.assert_array_equal(held_out["label_map"], given)
    about = {name: json.loads((out / name / folder / "samples.json").read_text()) for name, folder in OUT.items()}
    samples = {name: np.load(out / name / folder / "samples.npy") for name, folder in OUT.items()}
    seen = np.load(out / "samples" / "steered" / "segmentation.npy")
    expected = float((seen == given[:3, 0]).mean())
    assert about["samples"]["agreement"]["accuracy"] == pytest.approx(expected)
    assert about["samples"]["conditions"]["label"] == about["unsteered"]["conditions"]["label"]
    assert (samples["samples"] != samples["unsteered"]).any()


OUT = {"samples": "steered", "unsteered": "unsteered"}
