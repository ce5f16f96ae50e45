from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia import enhance
from PIL import Image
from stem_images.color_jitter import ColorJitter
from stem_images.data_examples import drawn

from stemcore import DataSpec, FieldSpec, UserError

DSB = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "images" / "dsb2018_nuclei_128"
SPEC = DataSpec({"input": FieldSpec("input", (3, 12, 10), "uint8", scale=2 / 255, offset=-1.0)})


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def colours(items: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn(start=k, dtype="float32") for k in range(items)]))


def expected(x: torch.Tensor, settings: dict[str, float], seed: int = 3) -> torch.Tensor:
    """By kornia, from 0 to 1."""
    factors = 2 * torch.rand(len(x), 4, generator=generator(seed)) - 1
    bright, contrast, saturation = (
        1 + settings.get(name, 0.0) * factors[:, k] for k, name in enumerate(("brightness", "contrast", "saturation"))
    )
    x = enhance.adjust_brightness_accumulative(x, bright)
    x = enhance.adjust_contrast_with_mean_subtraction(x, contrast)
    return enhance.adjust_saturation_with_gray_subtraction(x, saturation)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_is_as_kornia_has_it(name: str) -> None:
    settings = {name: 0.6}
    out = ColorJitter(SPEC, **settings)({"input": 2 * colours() - 1}, generator())["input"]
    assert (out != 2 * colours() - 1).flatten(1).any(dim=1).all()
    torch.testing.assert_close(out, 2 * expected(colours(), settings) - 1, atol=1e-5, rtol=0)


def test_a_real_image_changed_by_all() -> None:
    if not DSB.exists():
        pytest.skip("needs ../shared/data/images")
    file = DSB / "images" / "00ae65c1c6631ae6.png"
    x = torch.from_numpy(np.moveaxis(np.asarray(Image.open(file)), -1, 0).astype(np.float32) / 255)[None].repeat(
        5, 1, 1, 1
    )
    settings = {"brightness": 0.3, "contrast": 0.5, "saturation": 0.9}
    spec = DataSpec({"input": FieldSpec("input", (3, 128, 128))})
    out = ColorJitter(spec, range=(0, 1), **settings)({"input": x}, generator())["input"]
    torch.testing.assert_close(out, expected(x, settings), atol=1e-5, rtol=0)


def test_input_and_target_change_alike_and_nothing_else_does() -> None:
    x = 2 * colours() - 1
    labels = torch.arange(6)
    jitter = ColorJitter(SPEC, brightness=0.5)
    out = jitter({"input": x, "target": x, "label": labels}, generator())
    assert torch.equal(out["input"], out["target"])
    assert out["label"] is labels
    alone = ColorJitter(SPEC, brightness=0.5, fields=("input",))({"input": x, "target": x}, generator())
    assert torch.equal(alone["input"], out["input"])
    assert torch.equal(alone["target"], x)


def test_items_are_changed_by_chance() -> None:
    x = (2 * colours(1) - 1).repeat(400, 1, 1, 1)
    out = ColorJitter(SPEC, contrast=0.5, p=0.25)({"input": x}, generator())["input"]
    share = float((out != x).flatten(1).any(dim=1).double().mean())
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "nothing would change"),
        ({"brightness": 0.1, "range": (1.0, 0.0)}, "swapped"),
        ({"brightness": 0.1, "fields": ("depth",)}, "no field 'depth'"),
        ({"brightness": 0.1, "fields": ("label_map", "vector")}, r"'label_map' \(1, 12, 10\) is no image"),
        ({"saturation": 0.1, "fields": ("grey",)}, "has 1 channels, no colours; leave saturation out"),
    ],
)
def test_what_cannot_be_changed_is_refused(settings: dict[str, Any], said: str) -> None:
    grey = FieldSpec("grey", (1, 12, 10))
    labels = FieldSpec("label_map", (1, 12, 10), "int64", classes=("a", "b"))
    spec = SPEC.replacing(grey, labels, FieldSpec("vector", (4,)))
    with pytest.raises(UserError, match=said):
        ColorJitter(spec, **settings)
