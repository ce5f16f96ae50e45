from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stem_diffusion.pictures import as_pixels, class_pixels, grid
from stem_diffusion.sample_files import SampleFiles, sample_folder

from stemcore import FieldSpec, UserError

BYTES = FieldSpec("input", (3, 4, 6), "uint8", scale=2 / 255, offset=-1.0)


def test_images_of_bytes_come_back_as_they_were(tmp_path) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6)).astype(np.uint8)
    physical = (stored * BYTES.scale + BYTES.offset).astype(np.float32)
    with sample_folder(tmp_path / "out") as folder:
        files = SampleFiles(folder, BYTES, 5)
        files.add(0, {"samples": physical[:3], "latents": np.zeros((3, 2))})
        files.add(3, {"samples": physical[3:], "latents": np.ones((2, 2))})
        files.finish({"seed": 3})
    for k in range(5):
        with Image.open(tmp_path / "out" / "png" / f"{k:06d}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), np.moveaxis(stored[k], 0, -1))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "samples.npy"), physical)
    assert np.load(tmp_path / "out" / "latents.npy").sum() == 4
    about = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert (about["seed"], about["pixel_range"]) == (3, [-1.0, 1.0])
    with Image.open(tmp_path / "out" / "grid.png") as image:
        assert image.size == (3 * 8 + 2, 2 * 6 + 2)


def test_numbers_are_stretched_and_channels_chosen() -> None:
    images = np.linspace(-3, 5, 80).reshape(2, 5, 2, 4)
    pixels = as_pixels(images, -3, 5)
    assert pixels.shape == (2, 2, 4, 3)
    assert (pixels[0, 0, 0, 0], pixels.dtype) == (0, np.uint8)
    assert as_pixels(images[:, :2], -3, 5).shape == (2, 2, 4)
    assert as_pixels(np.array([[[[-9.0, 9.0]]]]), -3, 5).tolist() == [[[0, 255]]]
    assert grid(np.zeros((70, 2, 4), np.uint8)).shape == (8 * 4 + 2, 8 * 6 + 2)


def test_a_folder_is_whole_or_not_there(tmp_path) -> None:
    def interrupted() -> None:
        with sample_folder(tmp_path / "out") as folder:
            (folder / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_that_one_is_in_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(UserError, match="cannot be replaced by a new folder; name another one by --out"),
        sample_folder(Path()),
    ):
        pass


def test_classes_are_told_apart_and_none_is_grey() -> None:
    maps = np.array([[[-1, 0, 1, 2, 5, 6]]])
    pixels = class_pixels(maps)[0, 0].tolist()
    assert pixels[:3] == [[128] * 3, [0] * 3, [255] * 3]
    assert len({tuple(colour) for colour in pixels}) == 5
    assert pixels[5] == pixels[3], "after the last colour the third begins again"


def test_items_stand_below_what_they_were_told_in_one_size(tmp_path) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 4, 6)).astype(np.float32)
    maps = np.array([[[[0, 1, 1], [1, 0, 0]]], [[[1, 1, 1], [0, 0, 0]]]])
    with sample_folder(tmp_path / "out") as folder:
        files = SampleFiles(folder, BYTES, 3)
        files.add(0, {"samples": images, "segmentation": np.ones((3, 4, 6), np.uint8)})
        files.told({"label_map": maps, "label": np.zeros(2, np.int64)})
        files.finish({})
    with Image.open(tmp_path / "out" / "conditions.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (32 * (3 * 6 + 2), 32 * (3 * 8 + 2), 3)
    pixels = pixels[::32, ::32]
    told, drawn, seen = (pixels[row * 6 + 2 : row * 6 + 6, 18:24] for row in range(3))
    np.testing.assert_array_equal(told[..., 0], 255 * maps[0, 0].repeat(2, 0).repeat(2, 1))  # the third has the first's
    np.testing.assert_array_equal(drawn, as_pixels(images, -1, 1)[2])
    assert (seen == 255).all()
    with sample_folder(tmp_path / "told a class alone") as folder:
        files = SampleFiles(folder, BYTES, 3)
        files.add(0, {"samples": images})
        files.told({"label": np.zeros(2, np.int64)})
        files.finish({})
        assert not (folder / "conditions.png").exists()
