from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stem_diffusion.given_conditions import conditions_of, repeated, shown

from stemcore import DataSpec, FieldSpec, UserError

FIELDS = DataSpec(
    {
        field.name: field
        for field in (
            FieldSpec("input", (3, 8, 8), "uint8"),
            FieldSpec("label", (), "int64", classes=("stained", "grey")),
            FieldSpec("vector", (2,)),
            FieldSpec("condition", (1, 8, 6)),
            FieldSpec("label_map", (1, 8, 6), "int64", classes=("none", "cell")),
        )
    }
)


def test_classes_go_by_name_or_number_and_numbers_by_commas(tmp_path) -> None:
    found = conditions_of(["label=grey,0", "vector=0.5,-1"], FIELDS)
    np.testing.assert_array_equal(found["label"], [1, 0])
    np.testing.assert_array_equal(found["vector"], [[0.5, -1]])
    assert (found["label"].dtype, found["vector"].dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(repeated(found, 3, 4)["label"], [0, 1, 0, 1])
    about = shown(found, 3, FIELDS)
    assert about == {"label": ["grey", "stained", "grey"], "vector": [[0.5, -1]] * 3}


def test_images_come_from_files_and_folders(tmp_path) -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 2, (2, 8, 6)).astype(np.uint8)
    for k, image in enumerate(maps):
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    found = conditions_of([f"label_map={tmp_path}"], FIELDS)["label_map"]
    np.testing.assert_array_equal(found, maps[:, None])
    assert found.dtype == np.int64
    one = conditions_of([f"label_map={tmp_path / '1.png'}"], FIELDS)["label_map"]
    np.testing.assert_array_equal(one, maps[1:, None])
    grey = np.array([0, 51, 255] * 16, np.uint8).reshape(8, 6)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    found_grey = conditions_of([f"condition={tmp_path / 'grey.png'}"], FIELDS)["condition"]
    np.testing.assert_allclose(found_grey[0, 0, 0, :3], [-1, -0.6, 1], rtol=1e-6)
    np.save(tmp_path / "many.npy", rng.random((5, 1, 8, 6)))
    assert conditions_of([f"condition={tmp_path / 'many.npy'}"], FIELDS)["condition"].shape == (5, 1, 8, 6)
    assert shown({"condition": found}, 9, FIELDS) == {"condition": "2 of shape (1, 8, 6)"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("label=gray", "did you mean 'grey'"),
        ("label=2", "the classes 0 to 1"),
        ("label=0.5", "has no class '0.5'"),
        ("vector=1,2,3", r"'vector' is of shape \(2,\)"),
        ("vector=a", "neither numbers nor a file"),
        ("input=1", "without a field 'input'"),
        ("condition=nothing.png", "there is no such file"),
        ("condition={folder}/small.png", r"of shape \(1, 8, 6\), .*small.png of \(8, 6\)|\(1, 4, 4\)"),
        ("condition={folder}/broken.png", "broken.png cannot be read"),
        ("condition={folder}/empty", "the folder has no"),
        ("label_map={folder}/beyond.npy", "the classes 0 to 1"),
        ("label_map={folder}/real.npy", "is stored as int64"),
        ("=3", "is not NAME=VALUE"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, text, says) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "beyond.npy", np.full((1, 8, 6), 2))
    np.save(tmp_path / "real.npy", np.full((1, 8, 6), 0.5))
    with pytest.raises(UserError, match=says):
        conditions_of([text.format(folder=tmp_path)], FIELDS)
