"""Small sweeps for contract checks."""

from __future__ import annotations

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


def sweep(folder: Path) -> CommandExample:
    """Two trials of a small model; a space that cannot be, or that the recipe refuses, ends with 2."""
    recipe, space, wrong = folder / "small.yaml", folder / "space.yaml", folder / "wrong.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    space.write_text("model.latent_dim: [2, 3]\n", encoding="utf-8")
    wrong.write_text("model.latent_dims: [2, 3]\n", encoding="utf-8")
    common = (str(recipe), "--trials", "2", "--output", str(folder / "out"))
    return CommandExample(
        arguments=(*common, "--space", str(space)),
        wrong=((*common, "--space", str(wrong)), (*common, "--space", "nowhere"), (str(recipe), "--space", str(space))),
    )
