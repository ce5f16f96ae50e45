"""Every format, written by the libraries themselves and read back bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from spectral.io import envi
from stem_spectral.data_examples import mixed
from stem_spectral.hyperspectral import Hyperspectral

from stemcore import UserError

JASPER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
WAVELENGTHS = np.linspace(410, 890, 13).astype(np.float32)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A crop (13, 24, 17) of the real scene where it is there, else of mixed smooth spectra."""
    if JASPER.exists():
        with h5py.File(JASPER) as file:
            return np.asarray(file["Cube/Images"][4:186:14, 30:54, 50:67])
    return mixed(13, 24, 17)


def read_all(path: Path, **settings: Any) -> dict[str, np.ndarray]:
    dataset = Hyperspectral(path=path, **settings)
    try:
        return dataset.read(np.arange(len(dataset)))
    finally:
        dataset.close()


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("axes", ["bhw", "bwh", "hbw", "hwb", "wbh", "whb"])
def test_hdf5_with_its_axes_in_any_order(axes: str, scene: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cube.h5"
    order = ["bhw".index(axis) for axis in axes]
    plane = scene[0] > np.median(scene[0])
    with h5py.File(path, "w") as file:
        file.create_dataset("a/cube", data=scene.transpose(order), chunks=(5, 5, 5), compression="gzip")
        file["a/valid"] = plane if axes.index("h") < axes.index("w") else plane.T
    found = read_all(path, dataset="a/cube", axes=axes, mask="a/valid", bands=[0, 7, 3])
    assert np.array_equal(found["mask"][0], np.broadcast_to(plane, (3, *plane.shape)))
    same(found["input"][0], np.where(plane, scene[[0, 7, 3]], np.float32(0)))


@pytest.mark.parametrize("version", ["5", "5, compressed", "7.3"])
def test_matlab_has_the_axes_that_matlab_shows(version: str, scene: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cube.mat"
    shown = np.moveaxis(scene, 0, -1).astype(np.float64)
    labels = (shown[..., 0] * 30 % 4).astype(np.uint8)
    if version == "7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, values in {"data": shown, "labels": labels, "wavelengths": WAVELENGTHS[:, None]}.items():
                file[name] = values.T
    else:
        variables = {"data": shown, "labels": labels, "wavelengths": WAVELENGTHS, "note": "a scene"}
        scipy.io.savemat(path, variables, do_compression="compressed" in version)
    found = read_all(path, tile=(24, 8), label_map="labels")
    assert np.array_equal(found["wavelengths"], np.tile(WAVELENGTHS, (3, 1)))
    assert np.array_equal(found["label_map"][1, 0], labels[:, 8:16].astype(int) - 1)
    for item, start in enumerate((0, 8, 9)):
        same(found["input"][item], scene[:, :, start : start + 8].astype(np.float64))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_envi_in_each_interleave_and_byte_order(interleave: str, order: int, scene: np.ndarray, tmp_path: Path) -> None:
    counts = np.round(5000 * scene).astype(np.int16)
    counts[:, :3] = -9
    header = {
        "wavelength": [f"{w / 1000:.6f}" for w in WAVELENGTHS],
        "wavelength units": "Micrometers",
        "bbl": [0 if band in (2, 5) else 1 for band in range(13)],
        "data ignore value": -9,
        "reflectance scale factor": 5000,
    }
    path = tmp_path / "scene.hdr"
    envi.save_image(str(path), np.moveaxis(counts, 0, -1), interleave=interleave, byteorder=order, metadata=header)
    good = [band for band in range(13) if band not in (2, 5)]
    for name in (path, tmp_path / "scene.img"):
        dataset = Hyperspectral(path=name)
        field = dataset.fields["input"]
        assert (field.scale, field.unit, field.shape) == (1 / 5000, "reflectance", (11, 24, 17))
        assert {file.name for file in dataset.files} == {"scene.hdr", "scene.img"}
        found = dataset.read(np.array([0]))
        same(found["input"][0], np.where(counts == -9, np.int16(0), counts)[good])
        assert np.array_equal(found["mask"][0], (counts != -9)[good])
        np.testing.assert_allclose(found["wavelengths"][0], WAVELENGTHS[good], rtol=1e-6)
    masked = read_all(path, bad_bands="mask", bands=[1, 2, 3])
    assert not masked["mask"][0, 1].any()
    assert masked["mask"][0, 0].sum() == masked["mask"][0, 2].sum() == 21 * 17
    kept = read_all(path, bad_bands="keep", no_data=0.0)
    same(kept["input"][0], counts)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", ["planar", "interleaved", "pages"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_geotiff_in_each_layout(
    layout: str, compression: str | None, tile: tuple[int, int] | None, scene: np.ndarray, tmp_path: Path
) -> None:
    counts = np.round(5000 * scene).astype(np.uint16)
    counts[:, 4, 2:6] = 7
    gdal = "".join(f'<Item name="wavelength" sample="{k}">{w}</Item>' for k, w in enumerate(WAVELENGTHS))
    gdal += "".join(f'<Item name="SCALE" sample="{k}" role="scale">0.0002</Item>' for k in range(13))
    path = tmp_path / "scene.tif"
    values = np.moveaxis(counts, 0, -1) if layout == "interleaved" else counts
    tifffile.imwrite(
        path,
        np.ascontiguousarray(values),
        photometric="minisblack",
        planarconfig={"planar": "separate", "interleaved": "contig", "pages": None}[layout],
        compression=compression,
        tile=tile,
        rowsperstrip=None if tile else 7,
        byteorder=">",
        metadata=None if layout != "pages" else {"axes": "QYX"},
        extratags=[
            (42112, 2, 0, f"<GDALMetadata>{gdal}</GDALMetadata>", True),
            (42113, 2, 0, "7", True),
        ],
    )
    dataset = Hyperspectral(path=path, tile=12)
    assert dataset.fields["input"].scale == 0.0002
    found = dataset.read(np.arange(len(dataset)))
    assert dataset.scan_shape == (2, 2)
    assert np.array_equal(found["wavelengths"][0], WAVELENGTHS)
    for item, (row, column) in enumerate([(0, 0), (0, 5), (12, 0), (12, 5)]):
        expected = counts[:, row : row + 12, column : column + 12]
        same(found["input"][item], np.where(expected == 7, np.uint16(0), expected))
        assert np.array_equal(found["mask"][item], expected != 7)
    for bands in ([0, 4, 8], [12, 3, 0]):
        window = read_all(path, tile=(5, 3), stride=(9, 14), edges="drop", bands=bands, no_data=1e9)["input"]
        same(window[3], counts[bands, 9:14, 14:17])


@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_of_any_layout_and_byte_order(order: str, scene: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cube.npy"
    holes = scene.copy()
    holes[:, 2, 3] = np.nan
    np.save(path, np.asarray(holes.transpose(1, 2, 0), ">f4", order=order))
    found = read_all(path, axes="hwb", no_data="nan", tile=[12, 17])
    same(found["input"][0], np.nan_to_num(holes[:, :12]))
    assert np.array_equal(found["mask"][0], np.isfinite(holes[:, :12]))
    # The bands are where there are as many values as wavelengths.
    assert read_all(path, wavelengths=WAVELENGTHS.tolist(), no_data="nan")["input"].shape == (1, 13, 24, 17)


def test_scales_that_differ_from_band_to_band_are_not_passed_over(tmp_path: Path) -> None:
    for role in ("scale", "offset"):
        item = f'<Item name="{role.upper()}" sample="0" role="{role}">0.1</Item>'
        tags = [(42112, 2, 0, f"<GDALMetadata>{item}</GDALMetadata>", True)]
        path = tmp_path / f"{role}.tif"
        tifffile.imwrite(path, mixed(), planarconfig="separate", photometric="minisblack", extratags=tags)
        with pytest.raises(UserError, match=f"its bands have different {role}s; .*gdal_translate -unscale"):
            Hyperspectral(path=path)


def test_netcdf_names_of_scale_and_fill_values(scene: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cube.h5"
    with h5py.File(path, "w") as file:
        cube = file.create_dataset("reflectance", data=np.round(5000 * scene).astype(">i2"))
        cube.attrs.update(scale_factor=0.0002, add_offset=0.5, _FillValue=np.int16(-1), units="1")
        file["wavelength"] = WAVELENGTHS / 1000
        file["wavelength"].attrs["units"] = "um"
    dataset = Hyperspectral(path=path)
    field = dataset.fields["input"]
    assert (field.dtype, field.scale, field.offset, field.unit) == ("int16", 0.0002, 0.5, "1")
    assert "mask" in dataset.fields
    np.testing.assert_allclose(dataset.read(np.array([0]))["wavelengths"][0], WAVELENGTHS, rtol=1e-6)


@pytest.mark.parametrize("ending", [".h5", ".mat", ".hdr", ".tif", ".npy", ".txt"])
def test_what_is_no_cube_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{ending}"
    path.write_bytes(b"nothing that any library knows" * 20)
    with pytest.raises(UserError, match=r"cannot be read|none of the known formats"):
        Hyperspectral(path=path)


def test_python_objects_in_numpy_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object))
    with pytest.raises(UserError, match="cannot be read"):
        Hyperspectral(path=tmp_path / "objects.npy")


def test_a_cube_that_lost_its_end_is_refused(scene: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", scene)
    envi.save_image(str(tmp_path / "cube.hdr"), np.moveaxis(scene, 0, -1))
    for data, path in (("cube.npy", "cube.npy"), ("cube.img", "cube.hdr")):
        whole = (tmp_path / data).read_bytes()
        (tmp_path / data).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match="cannot be read"):
            Hyperspectral(path=tmp_path / path)
    (tmp_path / "cube.img").unlink()
    with pytest.raises(UserError, match=r"a raw file that is not there; put cube\.img beside it"):
        Hyperspectral(path=tmp_path / "cube.hdr")
