from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from stem_spectral.data_examples import mixed
from stem_spectral.hyperspectral import Hyperspectral

from stemcore import UserError

JASPER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
BANDS, HEIGHT, WIDTH = 5, 12, 10


def write_cube(path: Path, start: float = 0.0, shape: tuple[int, int, int] = (BANDS, HEIGHT, WIDTH)) -> np.ndarray:
    values = mixed(*shape, start=start)
    with h5py.File(path, "w") as file:
        file["Cube/Images"] = values
    return values


@pytest.fixture
def cubes(tmp_path: Path) -> tuple[Path, list[np.ndarray], list[np.ndarray]]:
    """A table of four cubes with pictures, what is in them, and the pictures (3, height, width)."""
    values, pictures, rows = [], [], ["ID,label,hs_file,rgb_file,patient,use"]
    rng = np.random.default_rng(0)
    for k in range(4):
        values.append(write_cube(tmp_path / f"{k}.h5", start=k))
        pictures.append(rng.integers(0, 256, (3, HEIGHT, WIDTH), np.uint8))
        Image.fromarray(np.ascontiguousarray(np.moveaxis(pictures[-1], 0, -1))).save(tmp_path / f"{k}.png")
        label, patient = ["10", "9", "", "10"][k], ["A", "A", "B", ""][k]
        rows.append(f"eye {k},{label},{k}.h5,{k}.png,{patient},{'train' if k else 'val'}")
    path = tmp_path / "cubes.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path, values, pictures


def test_the_real_scene_in_tiles() -> None:
    if not JASPER.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    dataset = Hyperspectral(path=JASPER, tile=25, label_map="/Cube/Labels", bands=[(0, 197, 6)])
    with h5py.File(JASPER) as file:
        cube, labels = file["Cube/Images"][::6], file["Cube/Labels"][()]
        wavelengths = file["Cube/Wavelengths"][::6]
    assert dataset.scan_shape == (4, 4)
    assert dataset.fields["label_map"].classes == ("1-tree", "2-water", "3-dirt", "4-road")
    found = dataset.read(np.arange(16))
    again = found["input"].reshape(4, 4, 33, 25, 25).transpose(2, 0, 3, 1, 4).reshape(33, 100, 100)
    assert np.array_equal(again, cube)
    mapped = found["label_map"].reshape(4, 4, 25, 25).transpose(0, 2, 1, 3).reshape(100, 100)
    assert np.array_equal(mapped, labels.astype(int) - 1)
    assert np.array_equal(found["wavelengths"], np.tile(wavelengths, (16, 1)))
    dataset.close()


def test_whole_cubes_with_labels_and_pictures(cubes: Any) -> None:
    path, values, pictures = cubes
    dataset = Hyperspectral(path=path, split_column="use")
    assert dataset.fields["label"].classes == ("9", "10")
    assert (dataset.fields["rgb"].like, dataset.fields["rgb"].scale) == ("input", 1 / 255)
    found = dataset.read(np.array([3, 0, 2, 1]))
    assert found["label"].tolist() == [1, 1, -1, 0]
    for place, item in enumerate([3, 0, 2, 1]):
        assert np.array_equal(found["input"][place], values[item])
        assert np.array_equal(found["rgb"][place], pictures[item])
    assert list(dataset.item_names) == [f"eye {k}" for k in range(4)]
    assert dataset.parts.tolist() == ["val", "train", "train", "train"]
    assert dataset.groups.tolist() == [0, 1, 2, 3]
    assert dataset.scan_shape is None


def test_tiles_of_cubes_stay_together(cubes: Any) -> None:
    path, values, pictures = cubes
    dataset = Hyperspectral(path=path, tile=(6, 10), stride=(3, 10))
    assert dataset.groups.tolist() == np.repeat(np.arange(4), 3).tolist()
    assert dataset.item_names[4] == "eye 1@3,0"
    found = dataset.read(np.array([4]))
    assert np.array_equal(found["input"][0], values[1][:, 3:9])
    assert np.array_equal(found["rgb"][0], pictures[1][:, 3:9])
    by_patient = Hyperspectral(path=path, tile=(6, 10), group_column="patient")
    assert by_patient.groups.tolist() == [0, 0, 0, 0, 1, 1, 5, 5]


def test_tiles_of_groups_share_no_pixel(tmp_path: Path) -> None:
    place = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(1, HEIGHT, WIDTH)
    np.save(tmp_path / "places.npy", place)
    dataset = Hyperspectral(path=tmp_path / "places.npy", tile=3, stride=1, regions=(2, 2), region_gap=1)
    values, groups = dataset.read(np.arange(len(dataset)))["input"], dataset.groups
    seen = [set(values[groups == group].ravel().tolist()) for group in range(4)]
    assert all(seen)
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert dataset.scan_shape is not None
    assert np.prod(dataset.scan_shape) == len(dataset)


def test_cubes_stored_in_other_units_come_as_physical_values(tmp_path: Path) -> None:
    values = [write_cube(tmp_path / "a.h5"), write_cube(tmp_path / "b.h5", start=2)]
    counts = np.round(1000 * values[1]).astype(np.uint16)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["Cube/Images"] = counts
        file["Cube/Images"].attrs["scale_factor"] = 0.001
    (tmp_path / "cubes.csv").write_text("ID,hs_file\na,a.h5\nb,b.h5\n", encoding="utf-8")
    dataset = Hyperspectral(path=tmp_path / "cubes.csv")
    assert (dataset.fields["input"].dtype, dataset.fields["input"].scale) == ("float32", 1.0)
    found = dataset.read(np.array([0, 1]))["input"]
    assert np.array_equal(found[0], values[0])
    np.testing.assert_allclose(found[1], counts * 0.001, rtol=1e-6)


def test_no_data_and_nan_do_not_count(tmp_path: Path) -> None:
    values = mixed(BANDS, HEIGHT, WIDTH)
    values[1, 2, 3], values[:, 0, 0], values[2, 1, 1] = np.nan, -0.1, np.inf
    np.save(tmp_path / "cube.npy", values)
    found = Hyperspectral(path=tmp_path / "cube.npy", no_data=-0.1).read(np.array([0]))
    expected = np.isfinite(values)
    expected[:, 0, 0] = False
    assert np.array_equal(found["mask"][0], expected)
    assert np.array_equal(found["input"][0], np.where(expected, values, np.float32(0)))
    # Unless they are known to have gaps, cubes have no mask: the core refuses or masks what is not finite.
    assert "mask" not in Hyperspectral(path=tmp_path / "cube.npy").fields


def test_all_cubes_that_do_not_fit_are_named_by_line(cubes: Any, tmp_path: Path) -> None:
    path, _, _ = cubes
    write_cube(tmp_path / "4.h5", shape=(BANDS + 1, HEIGHT, WIDTH))
    (tmp_path / "5.h5").write_bytes(b"no cube")
    with h5py.File(tmp_path / "6.h5", "w") as file:
        file["a"], file["b"] = np.zeros((2, 3, 4)), np.zeros((5, 3, 4))
    bad = [f"eye {k},9,{k}.h5,0.png,C,train" for k in (5, 6, 7)]
    path.write_text("\n".join([path.read_text(encoding="utf-8"), *bad]), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Hyperspectral(path=path)
    said = [str(problem) for problem in caught.value.problems]
    assert [s.split(": ")[0] for s in said] == [f"{path}:{line}" for line in (6, 7, 8)]
    assert "5.h5: cannot be read" in said[0]
    assert (
        "6.h5: has no array 'Cube/Images'; set dataset to one of its arrays with three axes: a (2, 3, 4), b (5"
        in said[1]
    )
    assert "7.h5: there is no such file" in said[2]
    path.write_text("\n".join([*path.read_text(encoding="utf-8").split("\n")[:5], "eye 4,9,4.h5,0.png,C,val"]))
    with pytest.raises(UserError, match=rf"{path}:6: bands: 6, others have 5"):
        Hyperspectral(path=path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stride": 2}, "'stride' is given without 'tile'"),
        ({"tile": 4, "region_gap": 1}, "'region_gap' is given without 'regions'"),
        ({"label_map": "Cube/Labels"}, "has no label_map 'Cube/Labels'"),
        ({"wavelengths": "Cube/Waves"}, "has no wavelengths 'Cube/Waves'"),
        ({"wavelengths": [500.0, 600.0, 700.0]}, "5 bands by its axes bhw, there are 3 wavelengths"),
        ({"group_column": "eye"}, "names a column, and the data are one cube"),
        ({"tile": 13}, "the scene of 12 pixels along its height has no tile of 13"),
        ({"tile": 4, "regions": (1, 2), "group_column": "eye"}, "both make groups"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.h5")
    with pytest.raises(UserError, match=said):
        Hyperspectral(path=tmp_path / "cube.h5", **settings)


def test_elsewhere_leaves_out_what_other_data_lack(cubes: Any, tmp_path: Path) -> None:
    path, values, _ = cubes
    arguments = {"path": path, "group_column": "patient", "split_column": "use", "label_map": "Cube/Labels"}
    alone = Hyperspectral.elsewhere(tmp_path / "2.h5", **arguments)
    assert set(alone.fields) == {"input"}
    assert np.array_equal(alone.read(np.array([0]))["input"][0], values[2])
    (tmp_path / "new.csv").write_text("ID,hs_file\nx,3.h5\n", encoding="utf-8")
    arguments |= {"label_column": "age", "rgb_column": "photo"}
    assert list(Hyperspectral.elsewhere(tmp_path / "new.csv", **arguments).item_names) == ["x"]


def test_the_fingerprint_knows_what_is_taken(tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.h5")
    settings: list[dict[str, Any]] = [{}, {"bands": [0, 1]}, {"bands": [0, 2]}, {"tile": 5}, {"tile": 5, "stride": 4}]
    prints = [Hyperspectral(path=tmp_path / "cube.h5", **s).fingerprint() for s in settings]
    assert len(set(prints)) == len(settings)


def test_labels_of_a_map_without_names_are_their_numbers(tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.h5")
    stored = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 4
    with h5py.File(tmp_path / "cube.h5", "a") as file:
        file["Cube/Labels"] = stored
    for ignored, classes, expected in ((0, ("1", "2", "3"), [-1, 0, 1, 2]), (2, ("0", "1", "3"), [0, 1, -1, 2])):
        dataset = Hyperspectral(path=tmp_path / "cube.h5", label_map="Cube/Labels", ignore_label=ignored)
        assert dataset.fields["label_map"].classes == classes
        assert np.array_equal(dataset.read(np.array([0]))["label_map"][0, 0], np.array(expected)[stored])


def test_ignored_values_are_no_classes_and_others_need_a_name(tmp_path: Path) -> None:
    path = tmp_path / "cube.h5"
    write_cube(path)
    stored = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 4).astype(np.uint8)
    stored[0] = 255
    with h5py.File(path, "a") as file:
        file["Cube/Labels"] = stored
    (tmp_path / "one.csv").write_text("ID,label,hs_file\nx,ill,cube.h5\n")
    settings: dict[str, Any] = {"label_map": "Cube/Labels", "ignore_label": 255}
    dataset = Hyperspectral(path=path, **settings)
    assert dataset.fields["label_map"].classes == ("0", "1", "2", "3")
    assert np.array_equal(
        dataset.read(np.array([0]))["label_map"][0, 0], np.where(stored == 255, -1, stored.astype(int))
    )
    with pytest.raises(UserError, match=r"cube.h5: its label_map has the value 3, .*; the classes are a, b, c; "):
        Hyperspectral(path=path, classes=["a", "b", "c"], **settings)
    named = Hyperspectral(path=tmp_path / "one.csv", classes=["healthy", "ill"], **settings)
    assert [named.fields[n].classes for n in ("label", "label_map")] == [("healthy", "ill"), ("0", "1", "2", "3")]
