"""A small run and its latent store, for contract checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stem_diffusion.latent_store import StoreWriter
from stem_diffusion.store_layout import Contents
from stemcore import FieldSpec
from stemcore import run as train
from stemcore.testing import CommandExample, DatasetExample


def recipe(variational: bool = False) -> dict[str, Any]:
    """An autoencoder of the bundled scan's patterns, binned to 4 x 4."""
    return {
        "name": "encoder",
        "data": {
            "train": {"type": "sample"},
            "val": 0.1,
            "batch_size": 256,
            "transforms": {"input": [{"type": "bin", "factor": 16}, {"type": "sqrt"}]},
        },
        "model": {"type": "conv_autoencoder", "latent_dim": 3, "channels": [2], "variational": variational},
        "losses": {"mse": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 1},
        "loggers": [],
        "figures": {},
    }


def embed(folder: Path) -> CommandExample:
    """A deterministic run: what it does not have cannot be drawn from it, nor copied."""
    run, out = str(train(recipe(), output=folder / "run").directory), str(folder / "latents.h5")
    return CommandExample(
        arguments=(run, "--out", out, "--dtype", "float16"),
        wrong=(
            (run, "--out", out, "--posterior", "sample"),
            (run, "--out", out, "--fields", "colour"),
            (run, "--out", str(folder / "latents.npy")),
            (run, "--out", str(folder / "no-such-folder" / "latents.h5")),
            (str(folder), "--out", out),
        ),
    )


def latents(folder: Path) -> DatasetExample:
    """A store of 300 items in several chunks, with a label and an image beside the latents; another is not finished."""
    path, unfinished = folder / "latents.h5", folder / "unfinished.h5"
    rng = np.random.default_rng(0)
    label = FieldSpec("label", (), "int64", classes=("cell", "nucleus"))
    condition = FieldSpec("condition", (1, 4, 4))
    contents = Contents(
        items=300,
        shape=(8, 8, 8),
        dtype="float32",
        identity={"sha256": "0" * 64, "source": "1" * 64, "posterior": "mean"},
        about={"run": "runs/ae"},
        fields={"label": label, "condition": condition},
        companions={"names": [f"item {k}" for k in range(300)], "parts": np.array(["train", "val"] * 150)},
        scan_shape=(15, 20),
    )
    fields = {"label": rng.integers(0, 2, 300), "condition": rng.random((300, 1, 4, 4), np.float32)}
    values = rng.standard_normal((300, 8, 8, 8), np.float32)
    with StoreWriter(path, contents) as store:
        store.put(values, fields, np.ones(300, bool))
        store.finish()
    with StoreWriter(unfinished, contents) as store:
        store.put(values[:9], {n: array[:9] for n, array in fields.items()}, np.ones(9, bool))
        begun = store.part
    begun.rename(unfinished)
    return DatasetExample(config={"path": str(path)}, broken={"an unfinished store": {"path": str(unfinished)}})
