"""Small jobs for contract checks: nothing is submitted."""

from __future__ import annotations

import json
from pathlib import Path

from stemcore.testing import CommandExample

RECIPE = """
stem: 1
name: small
data:
  train: {type: sample}
  val: 0.1
  batch_size: 256
  transforms: {input: [{type: bin, factor: 8}, {type: sqrt}]}
model: {type: conv_autoencoder, latent_dim: 2, channels: [2]}
losses: {mse: {}}
optimizer: {type: adam, lr: 1e-3}
trainer: {max_epochs: 1}
loggers: []
"""
RECORD = {"format": 1, "scheduler": "local", "id": "0", "submitted": "2026-01-01T00:00:00", "command": [], "values": {}}


def submit(folder: Path) -> CommandExample:
    """The script for a small model; recipes, times and options that cannot be end with 2."""
    recipe = folder / "small.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    slurm = ("--scheduler", "slurm", "--dry-run")
    return CommandExample(
        arguments=(str(recipe), *slurm, "--time", "4h"),
        wrong=(
            (str(recipe), "model.latent_dims=3", *slurm),
            (str(recipe), *slurm, "--time", "soon"),
            (str(recipe), "--scheduler", "local", "--dry-run", "--time", "4h"),
            ("nowhere", *slurm),
        ),
    )


def jobs(folder: Path) -> CommandExample:
    """A run whose job is gone; a folder without jobs ends with 2."""
    job = folder / "run" / "job"
    job.mkdir(parents=True)
    (job / "job.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (folder / "empty").mkdir()
    return CommandExample(
        arguments=(str(folder / "run"),), wrong=((str(folder / "empty"),), (str(folder / "nowhere"),))
    )
