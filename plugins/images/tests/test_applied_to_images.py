"""A run with heads for labels and masks, applied to images that have neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from stem_images.data_examples import HEIGHT, drawn, parts

from stemcore import Run, UserError, run
from stemcore.progress import Reporter

QUIET = Reporter()
ITEMS = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("applied")
    rows = ["image_path,label,mask_path"]
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for k in range(ITEMS):
        Image.fromarray(np.moveaxis(drawn(start=k), 0, -1)[:, :8]).save(folder / "images" / f"{k:02}.png")
        Image.fromarray(parts(k)[:, :8]).save(folder / "masks" / f"{k:02}.png")
        rows.append(f"images/{k:02}.png,{'ab'[k % 2]},masks/{k:02}.png")
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    data = {"type": "images", "path": str(folder / "table.csv"), "mask_classes": ["x", "y", "z"]}
    recipe: dict[str, Any] = {
        "stem": 1,
        "name": "heads",
        "data": {"train": data, "val": 0.25, "batch_size": 4},
        "model": {"type": "multihead_autoencoder", "latent_channels": 2, "downsamples": 2},
        "losses": {
            "mse": {},
            "segmentation": {"type": "cross_entropy", "inputs": {"logits": "segmentation", "label": "label_map"}},
            "classification": {"type": "cross_entropy"},
        },
        "metrics": {"psnr": {"data_range": 2.0}},
        "backend": "cpu",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        yield run(recipe, output=folder / "run", fast_dev_run=True, reporter=QUIET)


def test_latents_of_a_folder_are_those_of_the_table(trained: Run) -> None:
    folder = trained.directory.parent / "images"
    latents = trained.encode(reporter=QUIET)
    assert latents.shape == (ITEMS, 2, HEIGHT // 4, 2)
    np.testing.assert_allclose(trained.encode(data=folder, reporter=QUIET), latents, atol=1e-6)
    one = trained.encode(data=folder / "07.png", reporter=QUIET)
    np.testing.assert_allclose(one, latents[7:8], atol=1e-5)


def test_reconstructions_are_physical_values(trained: Run, tmp_path: Path) -> None:
    trained.reconstruct(tmp_path / "out.h5", data=trained.directory.parent / "images", reporter=QUIET)
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["patterns"].shape == (ITEMS, 3, HEIGHT, 8)
        assert np.abs(file["patterns"][()]).max() <= 1


def test_what_is_scored_has_to_be_there(trained: Run) -> None:
    table = trained.directory.parent / "table.csv"
    assert trained.evaluate(data=table, reporter=QUIET)["items"] == ITEMS
    with pytest.raises(UserError, match="wants 'label', which nobody provides"):
        trained.evaluate(data=trained.directory.parent / "images", reporter=QUIET)


def test_what_the_model_takes_has_to_be_there(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, source = trained.load(trained.directory.parent / "images")
    without = type(source.dataset)
    monkeypatch.setattr(without, "fields", property(lambda self: {"label": trained.fields["label"]}))
    with pytest.raises(UserError, match=r"images: the data have no 'input', which the model takes"):
        trained.load(trained.directory.parent / "images")
    assert "label" in loaded.parts.spec
