"""The augmentations that are there for any images, on real images with their masks and conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.data.pipeline import Pipeline

DSB = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "images" / "dsb2018_nuclei_128"
ITEMS = np.arange(40, 52)
QUARTERS = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]


@pytest.fixture
def batch(tmp_path: Path) -> Any:
    """Gives a batch as it is stored and as the pipeline of a recipe with augmentations makes it."""
    if not DSB.exists():
        pytest.skip("needs ../shared/data/images")

    def made(*augment: str, transforms: str = "{}") -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        (tmp_path / "recipe.yaml").write_text(
            f"""
stem: 1
name: nuclei
data:
  train:
    type: images
    path: {DSB}/labels.csv
    image: "images/{{id}}.png"
    mask: "masks/{{id}}.png"
    mask_classes: [background, nucleus]
    condition: ["images/{{id}}.png", "masks/{{id}}.png"]
    label: modality
  split: given
  val: 0.1
  augment: [{", ".join(augment)}]
  transforms: {transforms}
  batch_size: 4
model: {{type: conv_autoencoder, latent_dim: 2}}
losses: {{mse: {{}}}}
"""
        )
        parts = assemble(load_recipe(tmp_path / "recipe.yaml"))
        pipeline: Pipeline = parts.pipeline
        read = parts.sources.train.dataset.read(ITEMS)
        stored = {name: torch.from_numpy(values) for name, values in read.items()}
        stored["index"] = torch.from_numpy(ITEMS)
        before = pipeline({name: values.clone() for name, values in stored.items()})
        return before, pipeline(stored, torch.Generator().manual_seed(5))

    return made


def test_flips_and_quarter_turns_move_all_pixels_alike(batch: Any) -> None:
    before, after = batch("{type: flip}", "{type: rotate90}")
    assert after["label_map"].dtype == torch.int64
    ways = set()
    for item in range(len(ITEMS)):
        way = [w for w in QUARTERS if torch.equal(_turned(before["input"][item], *w), after["input"][item])]
        assert len(way) == 1
        for name in ("label_map", "condition", "target"):
            assert torch.equal(_turned(before[name][item], *way[0]), after[name][item])
        ways |= {*way}
    assert len(ways) > 3
    assert torch.equal(before["label"], after["label"])


def _turned(x: Tensor, turns: int, mirrored: bool) -> Tensor:
    return (x.flip(-1) if mirrored else x).rot90(turns, (-2, -1))


def test_turned_and_scaled_images_stay_on_their_masks(batch: Any) -> None:
    before, after = batch("{type: affine, degrees: 180, translate: 0.1, scale: [0.7, 1.4]}")
    # The first channels of the condition are the image itself, the last is its mask.
    torch.testing.assert_close(after["condition"][:, :3], after["input"], atol=1e-5, rtol=0)
    assert torch.equal(after["target"], after["input"])
    labels = after["label_map"]
    assert set(labels.unique().tolist()) == {-1, 0, 1}
    assert (after["input"] != before["input"]).flatten(1).any(dim=1).all()
    mask = (after["condition"][:, 3:] + 1) * 255 / 2
    inside = (labels >= 0).numpy()
    # Nearest and interpolated values differ at an edge alone.
    away = ((mask < 1e-3) | (mask > 1 - 1e-3)).numpy() & ndimage.binary_erosion(inside, np.ones((1, 1, 3, 3)))
    assert away.mean() > 0.5
    assert np.array_equal(labels.numpy()[away], mask.round().long().numpy()[away])
    assert ((labels.numpy() > 0) == (mask.numpy() > 0.5))[inside].mean() > 0.98


def test_colours_and_noise_leave_what_lies_on_the_pixels(batch: Any) -> None:
    jitter = "{type: color_jitter, brightness: 0.3, contrast: 0.3, saturation: 0.3}"
    before, after = batch("{type: noise, std: 0.1}", jitter)
    for name in ("label_map", "condition", "label"):
        assert torch.equal(before[name], after[name])
    # The noise is the input's alone, and new colours are the target's, too.
    assert not torch.equal(after["input"], after["target"])
    assert not torch.equal(before["target"], after["target"])
    assert after["input"].abs().max() <= 1


def test_a_crop_before_the_model_crops_masks_and_conditions(batch: Any) -> None:
    _, after = batch("{type: flip}", transforms="{input: [{type: crop, size: 64}]}")
    assert {name: tuple(after[name].shape[1:]) for name in ("input", "target", "label_map", "condition")} == {
        "input": (3, 64, 64),
        "target": (3, 64, 64),
        "label_map": (1, 64, 64),
        "condition": (4, 64, 64),
    }
    torch.testing.assert_close(after["condition"][:, :3], after["input"], atol=1e-6, rtol=0)
    mask = ((after["condition"][:, 3:] + 1) * 255 / 2).round().long()
    assert torch.equal(after["label_map"], mask)
