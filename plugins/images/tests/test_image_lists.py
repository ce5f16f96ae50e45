from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stem_images.items import Item, Roles, items_of, present
from stem_images.label_classes import labels_of
from stem_images.manifest import listing_of

from stemcore import UserError


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pictures.csv"
    path.write_text(text, encoding="utf-8")
    return path


def items(path: Path, root: Path | None = None, **roles: Any) -> list[Item]:
    listing = listing_of(path)
    return items_of(listing, present(listing, Roles(**roles)), root)


def said(path: Path, **roles: Any) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        items(path, **roles)
    return [(problem.where.removeprefix(f"{path}:"), problem.message) for problem in caught.value.problems]


def test_a_table_as_a_spreadsheet_saves_it(tmp_path: Path) -> None:
    text = '\ufeffimage_path,label,mask_path,latent_path,more\r\n"a, b.png",ill,m.png,,x\r\n\r\n/data/c.png,,,,\r\n'
    first, second = items(table(tmp_path, text))
    assert (first.image, first.mask, first.label, first.id) == (
        tmp_path / "a, b.png",
        tmp_path / "m.png",
        "ill",
        "a, b",
    )
    assert (second.image, second.mask, second.label, second.latents) == (Path("/data/c.png"), None, "", None)
    assert [item.where for item in (first, second)] == [f"{tmp_path}/pictures.csv:{line}" for line in (2, 4)]
    assert first.conditions == ()


def test_columns_of_other_names_and_templates(tmp_path: Path) -> None:
    path = table(tmp_path, "key,kind,site,age,z\n7,a,s1,20.5,1\n8,b,,3,1e2\n")
    roles = {"image": "img/{kind}/{key}.png", "mask": "{site}/{key}_m.png", "condition": ("c{key}.npy", "d{key}.npy")}
    one, two = items(path, **roles, label="kind", vector=("z", "age"), id="key", group="site", latents="l/{key}.npy")
    assert (one.image, one.mask) == (tmp_path / "img/a/7.png", tmp_path / "s1/7_m.png")
    assert two.mask is None  # an empty cell in its template
    assert two.conditions == (tmp_path / "c8.npy", tmp_path / "d8.npy")
    assert (one.vector, two.vector) == ((1.0, 20.5), (100.0, 3.0))
    assert (one.id, one.label, one.group, two.group, one.latents) == ("7", "a", "s1", "", tmp_path / "l/7.npy")
    assert items(path, tmp_path / "root", image="{key}.png")[0].image == tmp_path / "root" / "7.png"


def test_names_are_as_short_as_tells_items_apart(tmp_path: Path) -> None:
    for paths, names in (
        (["a/1.png", "a/2.png"], ["1", "2"]),
        (["a/1.png", "b/1.png"], ["a/1", "b/1"]),
        (["a/1.png", "a/1.tif"], ["a/1.png", "a/1.tif"]),
    ):
        assert [item.id for item in items(table(tmp_path, "\n".join(["image_path", *paths])))] == names


def test_folders_name_labels_where_all_images_are_one_deep(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/1.JPG", "a/.hidden.png", "a/notes.txt", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [(item.id, item.label) for item in items(tmp_path)] == [("1", "a"), ("2", "b")]
    assert items(tmp_path, mask="../m/{folder}/{name}.png")[0].mask == tmp_path / "../m/a/1.png"
    (tmp_path / "3.tif").touch()
    assert [(item.id, item.label) for item in items(tmp_path)] == [("3", ""), ("1", ""), ("2", "")]
    assert [item.label for item in items(tmp_path, label="folder")] == ["", "a", "b"]
    (alone,) = items(tmp_path / "b" / "2.png")
    assert (alone.image, alone.label, alone.where) == (tmp_path / "b" / "2.png", "", str(tmp_path / "b" / "2.png"))


def test_all_that_is_wrong_is_said_by_its_line(tmp_path: Path) -> None:
    path = table(tmp_path, "id,image_path,age,depth\na,a.png,1,d\na,b.png,2,d\nc,,old,d\n,e.png,3,\n")
    assert said(path, vector=("age",), condition=("depth",)) == [
        ("4", "has no image ('image_path')"),
        ("4", "'age' is 'old', not a number"),
        ("5", "has no condition ('depth')"),
        ("5", "has no name ('id')"),
        ("3", f"'a' is the name of {path}:2 too"),
    ]
    assert said(path, vector=("height",), group="{id}/{site}") == [
        ("1", "has no column 'site'"),
        ("1", "has no column 'height'"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("image_path\n", "a header alone"),
        ("path;label\na;b\n", "has no column 'image_path'; its columns are path;label"),
        ("image_path,label,label\na,b,c\n", "the column 'label' twice"),
        ("image_path,label\na,b\nc,d,e\n", "csv:3: has 3 cells, the header has 2"),
    ],
)
def test_a_table_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        items(table(tmp_path, text))


def test_a_path_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for path, message in (
        (tmp_path, "holds no pictures"),
        (tmp_path / "notes.txt", "is no list of pictures; give a folder"),
        (tmp_path / "gone", "no such file or folder"),
    ):
        with pytest.raises(UserError, match=message):
            listing_of(path)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(UserError, match="no table of text"):
        listing_of(tmp_path / "bytes.csv")


@pytest.mark.parametrize(
    ("labels", "classes", "names", "numbers"),
    [
        (["long", "", "Round", "long"], None, ("Round", "long"), [1, -1, 0, 1]),
        (["3", "1", "", "-1"], None, ("0", "1", "2", "3"), [3, 1, -1, -1]),
        (["10", "b", "9"], None, ("10", "9", "b"), [0, 2, 1]),
        (["long", "round"], ["round", "flat", "long"], ("round", "flat", "long"), [2, 0]),
    ],
)
def test_labels_are_numbered(
    labels: list[str], classes: list[str] | None, names: tuple[str, ...], numbers: list[int], tmp_path: Path
) -> None:
    lines = [f"{k}.png,{label}" for k, label in enumerate(labels)]
    found = labels_of(items(table(tmp_path, "\n".join(["image_path,label", *lines]))), classes)
    assert found is not None
    assert (found.classes, found.numbers.tolist(), found.numbers.dtype) == (names, numbers, np.int64)


def test_labels_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    found = items(table(tmp_path, "image_path,label\na.png,ill\nb.png,well\nc.png,dead\n"))
    with pytest.raises(UserError) as caught:
        labels_of(found, ["well"])
    assert [str(p).removeprefix(f"{tmp_path}/pictures.csv") for p in caught.value.problems] == [
        ":2: its label 'ill' is none of the classes well",
        ":4: its label 'dead' is none of the classes well",
    ]
    with pytest.raises(UserError, match=r"123456 is too large .*set classes"):
        labels_of(items(table(tmp_path, "image_path,label\na.png,123456\n")), None)
    assert labels_of(items(table(tmp_path, "image_path,label\na.png,\n")), None) is None
