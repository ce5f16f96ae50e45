from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from stem_images.images import Images

from stemcore import UserError

DSB = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "images" / "dsb2018_nuclei_128"
RNG = np.random.default_rng(2)
SIZE = (8, 6)


def noise(channels: int = 3, dtype: str = "uint8", size: tuple[int, int] = SIZE) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, (channels, *size), dtype, endpoint=True)


def save(path: Path, x: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(np.moveaxis(x, 0, -1)) if len(x) > 1 else x[0]).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, list[np.ndarray], list[np.ndarray]]:
    """A table of five pictures with masks, conditions, numbers and latents, the pictures and their masks."""
    images, masks, rows = [], [], ["image_path,label,mask_path,condition_path,age,eye,use,latent_path"]
    for k in range(5):
        images.append(noise())
        masks.append(RNG.integers(0, 2, SIZE))
        save(tmp_path / f"{k}.png", images[-1])
        save(tmp_path / f"{k}_mask.png", (255 * masks[-1][None]).astype(np.uint8))
        save(tmp_path / f"{k}_edges.png", noise(1))
        np.save(tmp_path / f"{k}.npy", np.full((4, 2, 1), k, np.float32))
        label, eye = ["b", "", "a", "b", "a"][k], ["L", "R", "", "L", ""][k]
        mask = f"{k}_mask.png" if k != 3 else ""
        rows.append(f"{k}.png,{label},{mask},{k}_edges.png,{k / 2},{eye},{'test' if k > 3 else 'train'},{k}.npy")
    path = tmp_path / "pictures.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path, images, masks


MASKS = {"ground": 0, "cell": 255}


def test_the_nuclei_are_what_their_files_hold() -> None:
    if not DSB.exists():
        pytest.skip("needs ../shared/data/images")
    images = Images(
        path=DSB / "labels.csv",
        image="images/{id}.png",
        mask="masks/{id}.png",
        mask_classes=["background", "nucleus"],
        label="modality",
        vector=["n_nuclei", "fg_fraction"],
    )
    assert len(images) == 664
    shapes = {name: (spec.shape, spec.dtype, spec.classes) for name, spec in images.fields.items()}
    modalities = ("brightfield_gray", "fluorescence_dark", "stained_purple_bg", "stained_white_bg")
    assert shapes == {
        "input": ((3, 128, 128), "uint8", ()),
        "label": ((), "int64", modalities),
        "label_map": ((1, 128, 128), "int64", ("background", "nucleus")),
        "vector": ((2,), "float32", ()),
    }
    assert np.bincount(images.values("label")).tolist() == [16, 541, 69, 38]
    assert np.unique(images.parts, return_counts=True)[1].tolist() == [132, 532]
    some = np.array([663, 0, 400, 17])
    found = images.read(some)
    for place, name in enumerate(images.item_names[k] for k in some):
        expected = np.asarray(Image.open(DSB / "images" / f"{name}.png"))
        assert np.array_equal(found["input"][place], np.moveaxis(expected, -1, 0))
        assert np.array_equal(found["label_map"][place, 0], np.asarray(Image.open(DSB / "masks" / f"{name}.png")))
    # The table gives the part of each mask that is nuclei, before it was made smaller.
    assert np.abs(found["label_map"].mean(axis=(1, 2, 3)) - found["vector"][:, 1]).max() < 0.01
    folder = Images(path=DSB / "images", mask="../masks/{name}.png", mask_classes=["background", "nucleus"])
    at = np.array([list(folder.item_names).index(images.item_names[663])])
    assert np.array_equal(folder.read(at)["label_map"], found["label_map"][:1])


def test_everything_that_a_table_names(pictures: Any) -> None:
    path, images, masks = pictures
    roles = {"vector": ["age"], "group_column": "eye", "split_column": "use", "latents": "latent_path"}
    dataset = Images(path=path, mask_classes=MASKS, **roles)
    assert list(dataset.fields) == ["input", "label", "label_map", "condition", "vector", "latents"]
    like = {name: spec.like for name, spec in dataset.fields.items() if spec.like}
    assert like == {"label_map": "input", "condition": "input"}
    found = dataset.read(np.array([4, 0, 3, 0]))
    for place, item in enumerate([4, 0, 3, 0]):
        assert np.array_equal(found["input"][place], images[item])
        expected = masks[item] if item != 3 else np.full(SIZE, -1)
        assert np.array_equal(found["label_map"][place, 0], expected)
        edges = np.asarray(Image.open(path.parent / f"{item}_edges.png"), np.float64)
        np.testing.assert_allclose(found["condition"][place, 0], 2 * edges / 255 - 1, atol=1e-6)
    assert found["label"].tolist() == [0, 1, 1, 1]
    assert found["vector"].tolist() == [[2.0], [0.0], [1.5], [0.0]]
    assert found["latents"][:, 0, 0, 0].tolist() == [4, 0, 3, 0]
    assert dataset.values("label").tolist() == [1, -1, 0, 1, 0]
    assert dataset.values("vector").tolist() == [[k / 2] for k in range(5)]
    assert dataset.groups.tolist() == [0, 1, 4, 0, 6]
    assert dataset.parts.tolist() == ["train"] * 4 + ["test"]
    assert list(dataset.item_names) == list("01234")


def test_what_is_not_asked_for_is_left_alone(pictures: Any) -> None:
    path, _, _ = pictures
    dataset = Images(path=path, mask=None, condition=None, label=None)
    assert list(dataset.fields) == ["input"]
    assert (dataset.groups, dataset.parts) == (None, None)
    with pytest.raises(UserError, match=r"csv:2: there are masks, and mask_classes does not name .*; mask: null"):
        Images(path=path)


def test_several_conditions_follow_each_other(pictures: Any) -> None:
    path, images, _ = pictures
    dataset = Images(path=path, mask=None, condition=["image_path", "condition_path"])
    assert dataset.fields["condition"].shape == (4, *SIZE)
    found = dataset.read(np.array([2]))
    np.testing.assert_allclose(found["condition"][0, :3], images[2] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_black_is_minus_one_and_white_is_one(dtype: str, tmp_path: Path) -> None:
    x = noise(1, dtype)
    x[0, 0, :2] = 0, np.iinfo(dtype).max
    save(tmp_path / "x.png", x)
    for settings, low, high in (({}, 0, np.iinfo(dtype).max), ({"stored_range": (10, 250)}, 10, 250)):
        dataset = Images(path=tmp_path, **settings)
        spec = dataset.fields["input"]
        physical = dataset.read(np.array([0]))["input"][0] * spec.scale + spec.offset
        np.testing.assert_allclose(physical, (x.astype(float) - low) / (high - low) * 2 - 1, atol=1e-12)


def test_floating_point_numbers_stay_what_they_are(tmp_path: Path) -> None:
    x = RNG.normal(size=(6, *SIZE)).astype(np.float32)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="minisblack", planarconfig="separate")
    dataset = Images(path=tmp_path)
    spec = dataset.fields["input"]
    assert (spec.shape, spec.dtype, spec.scale, spec.offset) == ((6, *SIZE), "float32", 1.0, 0.0)
    assert np.array_equal(dataset.read(np.array([0]))["input"][0], x)
    tifffile.imwrite(tmp_path / "x.tif", x.astype(np.int32), photometric="minisblack", planarconfig="separate")
    with pytest.raises(UserError, match="int32 do not say which values are black and white; set stored_range"):
        Images(path=tmp_path)
    assert Images(path=tmp_path, stored_range=(-3, 3)).fields["input"].scale == pytest.approx(1 / 3)


def test_images_of_other_kinds_are_named(tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path / f"{k}.png", noise())
    save(tmp_path / "grey.png", noise(1))
    save(tmp_path / "large.png", noise(3, size=(9, 6)))
    np.save(tmp_path / "deep.npy", noise(3, "uint16"))
    with pytest.raises(UserError) as caught:
        Images(path=tmp_path)
    said = [str(problem) for problem in caught.value.problems]
    assert [Path(line.partition(": ")[0]).name for line in said] == ["deep.npy", "grey.png", "large.png"]
    assert "large.png: is 9 x 6 with 3 channels of uint8; 4 are 8 x 6 with 3 channels of uint8; set size" in said[2]
    (tmp_path / "deep.npy").unlink()
    dataset = Images(path=tmp_path, size=4, channels=3)
    assert dataset.read(np.arange(6))["input"].shape == (6, 3, 4, 4)
    np.save(tmp_path / "many.npy", noise(7))
    with pytest.raises(UserError, match=r"many.npy: has other channels than grey or colour, which do not become 3"):
        Images(path=tmp_path, size=4, channels=3, axes="chw")


def test_of_many_odd_images_the_number_is_said(tmp_path: Path) -> None:
    for k in range(60):
        np.save(tmp_path / f"{k}.npy", np.zeros((1, 4, 4 + (k < 25)), np.uint8))
    with pytest.raises(UserError) as caught:
        Images(path=tmp_path)
    assert len(caught.value.problems) == 21
    assert str(caught.value.problems[-1]).startswith("5 more are not 4 x 4 with 1 channels of uint8; set size")


def test_of_many_missing_files_the_number_is_said(tmp_path: Path) -> None:
    lines = "\n".join(f"{k}.png" for k in range(103))
    (tmp_path / "x.csv").write_text(f"image_path\n{lines}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Images(path=tmp_path / "x.csv")
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[-1]).startswith("3 more images")


def test_files_that_are_missing_or_broken_are_all_named_by_line(pictures: Any) -> None:
    path, _, _ = pictures
    (path.parent / "1.png").unlink()
    (path.parent / "2.png").write_bytes(b"no picture")
    save(path.parent / "0_mask.png", noise(1, size=(8, 7)))
    (path.parent / "4.npy").write_bytes(b"no numbers")
    with pytest.raises(UserError) as caught:
        Images(path=path, mask_classes=MASKS, latents="latent_path")
    said = {str(p).removeprefix(f"{path}:").split(";")[0].replace(f"{path.parent}/", "") for p in caught.value.problems}
    assert {line.split(": cannot be read")[0] for line in said} == {
        "2: 0_mask.png: is 8 x 7, its image 8 x 6",
        "3: 1.png: there is no such file",
        "4: 2.png",
        "6: 4.npy",
    }


def test_damage_within_files_is_named_when_it_is_read_or_looked_for(pictures: Any) -> None:
    path, _, masks = pictures
    for k in (0, 2):
        whole = (path.parent / f"{k}.png").read_bytes()
        (path.parent / f"{k}.png").write_bytes(whole[:60] + bytes(40) + whole[100:])
    save(path.parent / "1_mask.png", (7 * masks[1][None]).astype(np.uint8))
    dataset = Images(path=path, mask_classes=MASKS)
    with pytest.raises(UserError) as caught:
        dataset.read(np.array([3, 2, 1, 0]))
    said = [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]
    assert [line[:3] for line in said] == ["4: ", "3: ", "2: "]
    assert "2.png: cannot be read: " in said[0]
    assert f"1_mask.png: its index 7 ({masks[1].sum()} pixels) stands for no class" in said[1]
    with pytest.raises(UserError) as caught:
        Images(path=path, mask_classes=MASKS, check="all")
    assert len(caught.value.problems) == 3


def test_files_that_are_replaced_by_another_kind_are_refused(pictures: Any) -> None:
    path, _, _ = pictures
    dataset = Images(path=path, mask_classes=MASKS, latents="latent_path")
    save(path.parent / "0.png", noise(1))
    save(path.parent / "1_mask.png", np.zeros((1, 9, 9), np.uint8))
    np.save(path.parent / "2.npy", np.zeros((4, 2, 1)))
    save(path.parent / "4_edges.png", noise(3))
    with pytest.raises(UserError) as caught:
        dataset.read(np.arange(5))
    said = [str(problem).removeprefix(f"{path}:").replace(f"{path.parent}/", "") for problem in caught.value.problems]
    grey, colour = (f"8 x 6 with {channels} channels of uint8" for channels in (1, 3))
    assert said == [
        f"2: 0.png: is {grey}; when the data were opened it was {colour}",
        "3: 1_mask.png: is 9 x 9; when the data were opened it was 8 x 6",
        "4: 2.npy: is float64 (4, 2, 1); when the data were opened it was float32 (4, 2, 1)",
        f"6: 4_edges.png: is {colour}; when the data were opened it was {grey}",
    ]


def test_a_condition_without_black_and_white_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.png", noise())
    np.save(tmp_path / "y.npy", np.zeros(SIZE, np.int32))
    (tmp_path / "x.csv").write_text("image_path,condition_path\nx.png,y.npy\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"x.csv:2: .*y.npy: is int32, which does not say what is black and white"):
        Images(path=tmp_path / "x.csv")


def test_a_library_that_is_not_there_is_named_once(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _, _ = pictures
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UserError) as caught:
        Images(path=path, mask_classes=MASKS)
    (said,) = caught.value.problems
    assert str(said) == "reading PNG and JPEG needs PIL; pip install 'stemcore[images]'"


def test_the_fingerprint_knows_files_and_settings(pictures: Any) -> None:
    path, _, _ = pictures
    arguments: dict[str, Any] = {"path": path, "mask_classes": MASKS}
    settings: list[dict[str, Any]] = [{}, {"size": 4}, {"size": 4, "crop": True}, {"channels": 1}, {"vector": ["age"]}]
    settings += [{"mask_ignore": 3}, {"label": None}, {"classes": ["b", "a"]}, {"stored_range": (0, 9)}]
    prints = [Images(**{**arguments, **s}).fingerprint() for s in settings]
    assert len(set(prints)) == len(settings)
    assert Images(**arguments).fingerprint() == prints[0]
    for name in ("3.png", "2_mask.png", "1_edges.png"):
        stat = (path.parent / name).stat()
        os.utime(path.parent / name, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        prints.append(Images(**arguments).fingerprint())
    path.write_text(path.read_text(encoding="utf-8").replace("1.png,,", "1.png,a,"), encoding="utf-8")
    prints.append(Images(**arguments).fingerprint())
    assert len(set(prints)) == len(prints)


def test_elsewhere_leaves_out_what_other_images_lack(pictures: Any, tmp_path: Path) -> None:
    path, images, _ = pictures
    arguments: dict[str, Any] = {"path": path, "mask_classes": MASKS, "vector": ["age"], "group_column": "eye"}
    arguments |= {"split_column": "use", "latents": "latent_path", "channels": 3}
    (tmp_path / "other").mkdir()
    save(tmp_path / "other" / "x.png", images[2])
    for other in (tmp_path / "other", tmp_path / "other" / "x.png"):
        alone = Images.elsewhere(other, **arguments)
        assert list(alone.fields) == ["input"]
        assert np.array_equal(alone.read(np.array([0]))["input"][0], images[2])
    # A class that other data lack does not shift the numbers of those that they have.
    (tmp_path / "some.csv").write_text("image_path,label,mask_path\n0.png,b,0_mask.png\n", encoding="utf-8")
    some = Images.elsewhere(tmp_path / "some.csv", **arguments)
    assert list(some.fields) == ["input", "label", "label_map"]
    assert (some.fields["label"].classes, some.values("label").tolist()) == (("a", "b"), [1])
    (tmp_path / "c").mkdir()
    save(tmp_path / "c" / "other" / "x.png", images[2])
    assert list(Images.elsewhere(tmp_path / "c", **arguments).fields) == ["input"]
    path.unlink()
    assert "label" not in Images.elsewhere(tmp_path / "some.csv", **arguments).fields
    named = Images.elsewhere(tmp_path / "some.csv", **arguments, classes=["b", "c"])
    assert named.values("label").tolist() == [0]
    template = {"path": path, "image": "{key}.png", "mask": "{key}_mask.png", "mask_classes": MASKS}
    (tmp_path / "keys.csv").write_text("key\n1\n", encoding="utf-8")
    assert list(Images.elsewhere(tmp_path / "keys.csv", **template).fields) == ["input", "label_map"]
    (tmp_path / "1_mask.png").unlink()
    assert list(Images.elsewhere(tmp_path / "keys.csv", **template).fields) == ["input"]


def test_elsewhere_is_not_below_the_root_of_the_recipe(pictures: Any, tmp_path: Path) -> None:
    path, images, _ = pictures
    (tmp_path / "other").mkdir()
    save(tmp_path / "other" / "0.png", images[2])
    arguments: dict[str, Any] = {"path": path, "root": tmp_path, "mask": None}
    for other in (tmp_path / "other", tmp_path / "other" / "0.png"):
        alone = Images.elsewhere(other, **arguments)
        assert np.array_equal(alone.read(np.array([0]))["input"][0], images[2])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"crop": True}, "'crop' is given without 'size'"),
        ({"stored_range": (1.0, 1.0)}, "empty or swapped"),
        ({"background": "white"}, "'white' is no colour"),
        ({"label": "kind"}, "has no column 'kind'; its columns are image_path, name, folder"),
        ({"image": "{id}.png"}, "has no column 'id'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    save(tmp_path / "x.png", noise())
    with pytest.raises(UserError, match=said):
        Images(path=tmp_path, **settings)
