"""Small cubes in files of each format, and batches of them, for contract checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import AugmentationExample, DatasetExample

BANDS, HEIGHT, WIDTH = 6, 12, 14
WAVELENGTHS = np.linspace(450.0, 700.0, BANDS).astype(np.float32)


def mixed(bands: int = BANDS, height: int = HEIGHT, width: int = WIDTH, start: float = 0.0) -> np.ndarray:
    """A reflectance (bands, height, width) float32: three smooth spectra in shares that vary over the scene."""
    band, row, column = np.indices((bands, height, width))
    shares = [1.2 + np.sin(start + (k + 1) * row / height * 3 + k * column / width * 4) for k in range(3)]
    spectra = [np.exp(-(((band / bands - centre) / 0.35) ** 2)) for centre in (0.2, 0.5, 0.9)]
    whole = sum(share * spectrum for share, spectrum in zip(shares, spectra, strict=True))
    return np.asarray(0.2 * whole / sum(shares) + 0.1, np.float32)


def hyperspectral(folder: Path) -> list[DatasetExample]:
    """A scene in tiles with a mask and labels, a table of cubes in each format with pictures, and ENVI's."""
    return [_scene(folder), _table(folder), _envi(folder)]


def _scene(folder: Path) -> DatasetExample:
    path = folder / "scene.h5"
    with h5py.File(path, "w") as file:
        file["Cube/Images"] = mixed()
        file["Cube/Wavelengths"] = WAVELENGTHS
        file["Cube/Labels"] = (np.indices((HEIGHT, WIDTH)).sum(axis=0) // 3 % 4).astype(np.uint8)
        file["Cube/Valid"] = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 7 > 0
    config: dict[str, Any] = {
        "path": str(path),
        "tile": [5, 4],
        "stride": 3,
        "regions": [2, 1],
        "bands": [[0, 5, 2], 3],
    }
    config |= {"label_map": "Cube/Labels", "mask": "Cube/Valid"}
    broken = {
        "no such array": {**config, "dataset": "Cube/Image"},
        "labels of another shape": {**config, "label_map": "Cube/Wavelengths"},
        "no such band": {**config, "bands": [BANDS]},
        "a tile larger than a region": {**config, "tile": 8},
        "other axes than the wavelengths": {**config, "axes": "hwb"},
    }
    return DatasetExample(label="scene", config=config, broken=broken)


def _table(folder: Path) -> DatasetExample:
    from PIL import Image

    rows = ["ID,label,hs_file,rgb_file,eye,use"]
    for k, file in enumerate(_written_in_each_format(folder)):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 * k, np.uint8)).save(folder / f"cube{k}.png")
        use = "train" if k else "test"
        rows.append(f"P{k},{('healthy', 'ill')[k % 2]},{file},cube{k}.png,{'LR'[k % 2]},{use}")
    path = folder / "cubes.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    np.save(folder / "larger.npy", mixed(height=HEIGHT + 1))
    wrong = {
        "twice": rows[1],
        "gone": "P9,ill,cube9.h5,cube0.png,L,train",
        "larger": "P9,ill,larger.npy,cube0.png,L,test",
    }
    for name, row in wrong.items():
        (folder / f"{name}.csv").write_text("\n".join([*rows, row]), encoding="utf-8")
    config = {"path": str(path), "wavelengths": [450.0, 700.0], "split_column": "use", "group_column": "eye"}
    broken = {
        "an ID twice": {**config, "path": str(folder / "twice.csv")},
        "a file that is not there": {**config, "path": str(folder / "gone.csv")},
        "a cube of another size": {**config, "path": str(folder / "larger.csv")},
        "no such column": {**config, "group_column": "patient"},
        "a class that is not named": {**config, "classes": ["healthy"]},
    }
    return DatasetExample(label="table", config=config, broken=broken)


def _written_in_each_format(folder: Path) -> list[str]:
    """Cubes of the same bands; returns the names of their files."""
    import scipy.io
    import tifffile

    cubes = [mixed(start=float(k)) for k in range(4)]
    with h5py.File(folder / "cube0.h5", "w") as file:
        file["Cube/Images"] = cubes[0].astype(">f4")
    np.save(folder / "cube1.npy", cubes[1])
    scipy.io.savemat(folder / "cube2.mat", {"cube": np.moveaxis(cubes[2], 0, -1), "wavelengths": WAVELENGTHS})
    tifffile.imwrite(folder / "cube3.tif", cubes[3], photometric="minisblack", planarconfig="separate")
    return ["cube0.h5", "cube1.npy", "cube2.mat", "cube3.tif"]


def _envi(folder: Path) -> DatasetExample:
    from spectral.io import envi

    path = folder / "scene.hdr"
    values = np.moveaxis((1000 * mixed()).astype(np.int16), 0, -1)
    values[:2] = -1
    header = {"wavelength": [f"{w / 1000}" for w in WAVELENGTHS], "wavelength units": "Micrometers"}
    header |= {"bbl": [1, 1, 0, 1, 1, 1], "data ignore value": -1, "reflectance scale factor": 1000}
    envi.save_image(str(path), values, interleave="bil", byteorder=1, metadata=header, force=True)
    config = {"path": str(path), "tile": 4, "bad_bands": "mask"}
    return DatasetExample(label="envi", config=config, broken={"a table's column": {**config, "group_column": "eye"}})


def affine(folder: Path) -> list[AugmentationExample]:
    """A cube with a mask and labels, and one with a picture."""
    shape = (BANDS, HEIGHT, WIDTH)
    cube = FieldSpec("input", shape)
    labels = FieldSpec("label_map", (1, HEIGHT, WIDTH), "int64", like="input", classes=("soil", "water", "tree"))
    masked = DataSpec({"input": cube, "mask": FieldSpec("mask", shape, "bool", like="input"), "label_map": labels})
    picture = FieldSpec("rgb", (3, HEIGHT, WIDTH), "uint8", like="input", scale=1 / 255)
    config = {"degrees": 30.0, "translate": 0.1, "scale": [0.8, 1.25]}
    row, column = np.indices((HEIGHT, WIDTH))
    places = np.stack([(row + k) // 4 % 3 for k in range(8)])[:, None].astype(np.int64)
    tensors = {"input": _cubes(8), "label_map": places}
    counts = np.broadcast_to((row + column) % 5 > 0, (8, *shape)).copy()
    pictures = np.round(255 * _cubes(8)[:, :3]).astype(np.uint8)
    return [
        AugmentationExample(label="mask", config=config, spec=masked, tensors={**tensors, "mask": counts}),
        AugmentationExample(
            label="picture",
            config={"degrees": 180.0, "p": 0.5},
            spec=DataSpec({"input": cube, "rgb": picture}),
            tensors={**tensors, "rgb": pictures},
        ),
    ]


def band_dropout(folder: Path) -> list[AugmentationExample]:
    """Cubes, with either filling."""
    spec = DataSpec({"input": FieldSpec("input", (BANDS, HEIGHT, WIDTH))})
    tensors = {"input": _cubes(8)}
    return [
        AugmentationExample(label="zero", config={"p": 0.3}, spec=spec, tensors=tensors),
        AugmentationExample(
            label="mean", config={"p": 0.3, "fill": "mean", "space": "model"}, spec=spec, tensors=tensors
        ),
    ]


def _cubes(items: int) -> np.ndarray:
    return np.stack([mixed(start=float(k)) for k in range(items)])
