from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from stem_images.palette import MaskClasses

from stemcore import UserError

INDICES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
RGB = np.array([[0, 0, 0], [255, 0, 0], [18, 52, 86]], np.uint8)
COLOURS = {"ground": "#000000", "cell": [255, 0, 0], "edge": "#123456"}


def labels(path: Path, classes: Any, ignore: Any = None) -> np.ndarray:
    found = MaskClasses(classes, ignore).labels(path, "auto")
    assert found.dtype == np.int64
    return found


def test_indices_of_every_format(tmp_path: Path) -> None:
    Image.fromarray(INDICES).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([INDICES] * 3, axis=-1)).save(tmp_path / "as_colour.png")
    indexed = Image.fromarray(INDICES)
    indexed.putpalette(RGB.tobytes())
    indexed.save(tmp_path / "palette.png")
    np.save(tmp_path / "wide.npy", INDICES.astype(np.int32))
    tifffile.imwrite(tmp_path / "tagged.tif", INDICES.astype(np.uint16), photometric="miniswhite")
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(labels(path, ["a", "b", "c"]), INDICES), path.name
        assert np.array_equal(labels(path, {"b": 1, "a": 0}, 2), np.array([1, 0, -1])[INDICES]), path.name


def test_colours_of_every_format(tmp_path: Path) -> None:
    Image.fromarray(RGB[INDICES]).save(tmp_path / "colour.png")
    opaque = np.concatenate([RGB[INDICES], np.full((2, 3, 1), 255, np.uint8)], axis=-1)
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    indexed = Image.fromarray(INDICES)
    indexed.putpalette(RGB.tobytes())
    indexed.save(tmp_path / "palette.png")
    tifffile.imwrite(
        tmp_path / "planar.tif", np.moveaxis(RGB[INDICES], -1, 0), photometric="rgb", planarconfig="separate"
    )
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(labels(path, COLOURS), INDICES), path.name
        rest = {"cell": "#FF0000", "ground": [0, 0, 0]}
        assert np.array_equal(labels(path, rest, "#123456"), np.array([1, 0, -1])[INDICES]), path.name


def test_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(INDICES // 2 * 255).save(tmp_path / "x.png")
    for classes in ({"ground": 0, "cell": 255}, {"ground": "#000000", "cell": "#ffffff"}):
        assert np.array_equal(labels(tmp_path / "x.png", classes), INDICES // 2)
    Image.fromarray(INDICES > 1).save(tmp_path / "bits.png")
    assert np.array_equal(labels(tmp_path / "bits.png", ["ground", "cell"]), INDICES // 2)


def test_what_stands_for_no_class_is_counted(tmp_path: Path) -> None:
    Image.fromarray(INDICES).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"its index 2 \(2 pixels\) stands for no class; known are 0, 1; name it in"):
        labels(tmp_path / "x.png", ["a", "b"])
    Image.fromarray(RGB[INDICES]).save(tmp_path / "y.png")
    with pytest.raises(UserError, match=r"its colour #123456 \(2 pixels\), #ff0000 \(2 pixels\) stands for no class"):
        labels(tmp_path / "y.png", {"ground": "#000000"})
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).save(tmp_path / "z.png")
    with pytest.raises(UserError, match=r"3 \(1 pixels\), 4 \(1 pixels\), 5 \(1 pixels\), 6 \(1 pixels\) and 53 more"):
        labels(tmp_path / "z.png", ["a", "b", "c"])


def test_a_mask_of_another_sort_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB[INDICES]).save(tmp_path / "colour.png")
    np.save(tmp_path / "float.npy", INDICES.astype(np.float32))
    with pytest.raises(UserError, match="has 3 channels, not indices; give the colour of each class"):
        labels(tmp_path / "colour.png", ["a", "b", "c"])
    with pytest.raises(UserError, match="holds float32"):
        labels(tmp_path / "float.npy", ["a", "b", "c"])
    with pytest.raises(UserError, match="has 1 channels of float32, and colours are three of uint8"):
        labels(tmp_path / "float.npy", COLOURS)


@pytest.mark.parametrize(
    ("classes", "ignore", "said"),
    [
        (["a", "a"], None, "named twice"),
        ({"a": 1, "b": "#000000"}, None, "mixed"),
        (["a", "b"], "#000000", "mixed"),
        ({"a": "#000000", "b": [0, 0, 0]}, None, "the same"),
        (["a", "b"], 1, "the same"),
        ({"a": "red"}, None, "'red' is no colour; right are '#rrggbb'"),
        ({"a": (0, 0, 256)}, None, "is no colour"),
    ],
)
def test_classes_that_cannot_be(classes: Any, ignore: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        MaskClasses(classes, ignore)
