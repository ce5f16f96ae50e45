"""A small run and samples that are not its own, for contract checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcore import run as train
from stemcore.testing import CallbackExample, CommandExample


def recipe() -> dict[str, Any]:
    """An autoencoder of the bundled scan's patterns, binned to 8 x 8."""
    return {
        "name": "memorizing",
        "data": {
            "train": {"type": "sample"},
            "val": 0.1,
            "batch_size": 256,
            "transforms": {"input": [{"type": "bin", "factor": 8}, {"type": "sqrt"}]},
        },
        "model": {"type": "conv_autoencoder", "latent_dim": 4, "channels": [4]},
        "losses": {"mse": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 1},
        "loggers": [],
        "figures": {},
    }


def memorization(folder: Path) -> CommandExample:
    """Forty pictures of noise; pictures of another size, files of none and unknown perturbations end with 2."""
    run = str(train(recipe(), output=folder / "run").directory)
    samples, other = folder / "samples.npy", folder / "other.npy"
    np.save(samples, np.random.default_rng(0).random((40, 1, 8, 8), np.float32))
    np.save(other, np.zeros((40, 1, 9, 8), np.float32))
    common = ("--out", str(folder / "out"), "--planted", "8", "--top", "2")
    return CommandExample(
        arguments=(run, "--samples", str(samples), *common),
        wrong=(
            (run, "--samples", str(other), *common),
            (run, "--samples", str(folder / "none.npy"), *common),
            (run, "--samples", str(samples), *common, "--perturb", "colour=1"),
            (run, "--samples", str(samples), *common, "--perturb", "noise=much"),
            (run, "--samples", str(samples), "--out", str(folder / "no" / "such")),
        ),
    )


def callback(folder: Path) -> CallbackExample:
    """A model of pictures that draws noise."""
    import torch
    from torch import Tensor, nn

    from stemcore import DataSpec, FieldSpec, Model

    class Noise(Model):
        """A gain, and pictures of noise."""

        def __init__(self, spec: DataSpec) -> None:
            super().__init__(spec)
            self.gain = nn.Parameter(torch.ones(()))

        def provides(self) -> dict[str, FieldSpec]:
            return {"prediction": FieldSpec("prediction", self.spec["input"].shape, like="input")}

        def forward(self, input: Tensor) -> dict[str, Tensor]:
            return {"prediction": self.gain * input}

        def sample(self, n: int, **conditions: Tensor) -> Tensor:
            return self.gain * torch.randn(n, *(s or 1 for s in self.spec["input"].shape))

    config = {"n": 4, "every_n_epochs": 2}
    return CallbackExample(config=config, model=lambda: Noise(DataSpec({"input": FieldSpec("input", (1, 8, 8))})))
