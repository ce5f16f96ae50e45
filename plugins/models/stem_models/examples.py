"""What the contract checks need to know of the models."""

from __future__ import annotations

from pathlib import Path

from stemcore.testing import ModelExample


def conv_autoencoder(folder: Path) -> list[ModelExample]:
    """As it is by default, variational, and without residual blocks."""
    small = {"latent_dim": 6, "channels": [8, 16]}
    return [
        ModelExample(label="residual", config=small),
        ModelExample(label="variational", config={**small, "variational": True}),
        ModelExample(label="plain", config={**small, "blocks": 0}),
    ]


def resnet_autoencoder(folder: Path) -> ModelExample:
    """It goes through 256 x 256 pixels whatever the size of the patterns: few of them."""
    return ModelExample(config={"latent_dim": 4}, items=2)
