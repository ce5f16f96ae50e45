"""What the autoencoder and the figures of images are checked by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import FigureExample, ModelExample


def multihead_autoencoder(folder: Path) -> list[ModelExample]:
    """The image alone, variational with all heads, and a segmentation without an image."""
    small = {"width": 8, "latent_channels": 3, "downsamples": 2}
    whole = [labelled(16, 16), labelled(12, 20)]
    every = {**small, "variational": True, "regression": ["vector", "dose", "truth"]}
    return [
        ModelExample(label="image", config={**small, "output": "linear"}),
        ModelExample(label="all heads", config=every, specs=whole, odd=labelled(13, 11)),
        ModelExample(
            label="segmentation",
            config={**small, "heads": ["segmentation"], "segmentation_classes": 4},
        ),
    ]


def labelled(height: int, width: int) -> DataSpec:
    """Images in colour with classes of pixels and of images, numbers, and an image to be predicted."""
    fields = (
        FieldSpec("input", (3, height, width)),
        FieldSpec("label", (), "int64", classes=("round", "long")),
        FieldSpec("label_map", (1, height, width), "int64", like="input", classes=("none", "edge", "core")),
        FieldSpec("vector", (5,), "float32"),
        FieldSpec("dose", (), "float32"),
        FieldSpec("truth", (2, height, width), "float32"),
    )
    return DataSpec({field.name: field for field in fields})


def image_grid(folder: Path) -> list[FigureExample]:
    """Images in colour, in grey, and one whose values are all the same."""
    arrays = {name: pictured()[name] for name in ("target", "prediction", "index")}
    grey = {"target": arrays["target"][:1, :1], "prediction": arrays["prediction"][:1, :1]}
    return [
        FigureExample(label="colour", config={"items": 2}, arrays=arrays),
        FigureExample(label="grey", arrays=grey),
        FigureExample(label="constant", arrays={name: 0 * x for name, x in grey.items()}),
    ]


def segmentation_overlay(folder: Path) -> list[FigureExample]:
    """Images with all classes, and one without any label."""
    arrays = {name: x for name, x in pictured().items() if name != "prediction"}
    bare = {name: arrays[name][:1] for name in ("target", "segmentation")}
    return [
        FigureExample(label="all classes", config={"items": 2}, arrays=arrays),
        FigureExample(label="no label", arrays={**bare, "label_map": np.full((1, 1, 10, 12), -1)}),
    ]


def pictured() -> Mapping[str, np.ndarray]:
    """Images (3, 3, 10, 12) of waves, a reconstruction, and classes of their pixels."""
    y, x = np.indices((10, 12))
    phase = np.arange(9).reshape(3, 3, 1, 1)
    target = np.sin(phase + x / 3) * np.cos(phase - y / 4)
    label = np.digitize(target[:, :1], [-0.3, 0.3])
    scores = np.eye(3)[np.roll(label[:, 0], 1, 2)].transpose(0, 3, 1, 2)
    index = np.array([4, 8, 15])
    return {"target": target, "prediction": 0.9 * target, "label_map": label, "segmentation": scores, "index": index}
