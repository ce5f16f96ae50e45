"""Small images in folders and tables, for contract checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import AugmentationExample, DatasetExample

HEIGHT, WIDTH = 12, 10


def drawn(channels: int = 3, start: float = 0.0, dtype: str = "uint8") -> np.ndarray:
    """A smooth picture (channels, height, width)."""
    channel, row, column = np.indices((channels, HEIGHT, WIDTH))
    shade = 0.5 + 0.25 * np.sin(start + row / 3 + channel) + 0.25 * np.cos(column / 2 - start)
    most = 1.0 if np.dtype(dtype).kind == "f" else float(np.iinfo(dtype).max)
    return np.asarray(shade * most, dtype)


def parts(start: int = 0) -> np.ndarray:
    """Three classes (height, width), uint8."""
    row, column = np.indices((HEIGHT, WIDTH))
    return ((row + column + start) // 4 % 3).astype(np.uint8)


def images(folder: Path) -> list[DatasetExample]:
    """A folder with a subfolder for each label, a table with masks, conditions and numbers, and one picture."""
    return [_folder(folder), _table(folder), _picture(folder)]


def _folder(folder: Path) -> DatasetExample:
    import tifffile
    from PIL import Image

    path = folder / "sorted"
    for k, label in enumerate(("round", "long", "round")):
        (path / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(drawn(start=k), 0, -1)).save(path / label / f"{k}.png")
    tifffile.imwrite(path / "long" / "3.tif", drawn(start=3), photometric="rgb", planarconfig="separate")
    np.save(path / "long" / "4.npy", drawn(start=4))
    config: dict[str, Any] = {"path": str(path), "size": [8, 6], "crop": True}
    (folder / "odd").mkdir()
    np.save(folder / "odd" / "grey.npy", drawn(1))
    np.save(folder / "odd" / "colour.npy", drawn(3))
    np.save(folder / "odd" / "words.npy", np.array(["a"]))
    broken = {
        "crop without size": {"path": str(path), "crop": True},
        "a label of no class": {**config, "classes": ["round"]},
        "images of several kinds": {"path": str(folder / "odd")},
        "no such column": {**config, "label": "kind"},
        "an empty range": {**config, "stored_range": [1.0, 0.0]},
    }
    return DatasetExample(label="folder", config=config, broken=broken)


def _table(folder: Path) -> DatasetExample:
    from PIL import Image

    rows = ["id,image_path,label,depth_path,age,eye,split,latent_path"]
    for k in range(5):
        Image.fromarray(drawn(1, start=k, dtype="uint16")[0]).save(folder / f"{k}.png")
        mask = Image.fromarray(parts(k))
        mask.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
        mask.save(folder / f"{k}_parts.png")
        np.save(folder / f"{k}_depth.npy", drawn(2, start=k, dtype="float32"))
        np.save(folder / f"{k}_latent.npy", drawn(4, start=k, dtype="float32")[:, :3, :2])
        use = "test" if k == 4 else "train"
        rows.append(f"P{k},{k}.png,{'ill' if k % 2 else ''},{k}_depth.npy,{20 + k},{k % 2},{use},{k}_latent.npy")
    path = folder / "pictures.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    wrong = {"twice": rows[1], "gone": "P8,gone.png,ill,0_depth.npy,3,0,train,0_latent.npy"}
    for name, row in wrong.items():
        (folder / f"{name}.csv").write_text("\n".join([*rows, row]), encoding="utf-8")
    config: dict[str, Any] = {
        "path": str(path),
        "mask": "{eye}_parts.png",
        "mask_classes": {"ground": "#000000", "cell": [255, 0, 0]},
        "mask_ignore": "#0000ff",
        "condition": "depth_path",
        "vector": ["age"],
        "group_column": "eye",
        "latents": "latent_path",
    }

    broken = {
        "an id twice": {**config, "path": str(folder / "twice.csv")},
        "an image that is not there": {**config, "path": str(folder / "gone.csv")},
        "no such column": {**config, "group_column": "patient"},
        "numbers that are none": {**config, "vector": ["image_path"]},
        "masks without classes": {**config, "mask_classes": None},
        "indices and colours": {**config, "mask_ignore": 3},
        "no colour": {**config, "mask_classes": {"ground": "black"}},
        "a colour twice": {**config, "mask_ignore": "#000000"},
    }
    return DatasetExample(label="table", config=config, broken=broken)


def _picture(folder: Path) -> DatasetExample:
    from PIL import Image

    path = folder / "one.jpg"
    Image.fromarray(np.moveaxis(drawn(), 0, -1)).save(path, quality=95)
    return DatasetExample(label="picture", config={"path": str(path), "channels": 1, "check": "all"})


def color_jitter(folder: Path) -> list[AugmentationExample]:
    """Colours with a mask beside them, and pictures of many channels."""
    colours = FieldSpec("input", (3, HEIGHT, WIDTH), "uint8", scale=2 / 255, offset=-1.0)
    labels = FieldSpec("label_map", (1, HEIGHT, WIDTH), "int64", like="input", classes=("a", "b", "c"))
    every = {"brightness": 0.3, "contrast": 0.4, "saturation": 0.5}
    tensors = {"input": np.stack([drawn(start=k) for k in range(8)])}
    places = np.stack([parts(k) for k in range(8)])[:, None].astype(np.int64)
    bands = FieldSpec("input", (5, HEIGHT, WIDTH))
    return [
        AugmentationExample(
            label="colours",
            config=every,
            spec=DataSpec({"input": colours, "label_map": labels}),
            tensors={**tensors, "label_map": places},
        ),
        AugmentationExample(
            label="bands",
            config={"brightness": 0.2, "contrast": 1.0, "range": [0.0, 1.0], "p": 0.5},
            spec=DataSpec({"input": bands}),
            tensors={"input": np.stack([drawn(5, start=k, dtype="float32") for k in range(8)])},
        ),
    ]
