"""A small run to probe, for contract checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcore import run as train
from stemcore.testing import CommandExample

RECIPE = {
    "name": "probed",
    "data": {
        "train": {"type": "sample"},
        "val": 0.1,
        "batch_size": 256,
        "transforms": {"input": [{"type": "bin", "factor": 8}, {"type": "sqrt"}]},
    },
    "model": {"type": "conv_autoencoder", "latent_dim": 2, "channels": [2]},
    "losses": {"mse": {}},
    "optimizer": {"type": "adam", "lr": 1e-3},
    "trainer": {"max_epochs": 1},
    "loggers": [],
    "figures": {},
}


def probe(folder: Path) -> CommandExample:
    """Two classes of the bundled scan's patterns; labels of other items, of one class or of no file end with 2."""
    run = str(train(RECIPE, output=folder / "run").directory)
    labels, few, one = (folder / f"{name}.npy" for name in ("labels", "few", "one"))
    np.save(labels, np.arange(32 * 40).reshape(32, 40) // 640)
    np.save(few, np.zeros((32, 39), int))
    np.save(one, np.zeros((32, 40), int))
    wrong = [(run, "--labels", str(path)) for path in (few, one, folder / "none.npy")]
    common = ("--labels", str(labels), "--repeats", "2", "--no-baselines", "--out", str(folder / "out"))
    return CommandExample(
        arguments=(run, *common),
        wrong=(*wrong, (run, *common, "--per-class", "640"), (run, "optimizer.lr=1", *common)),
    )
