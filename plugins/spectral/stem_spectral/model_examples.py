"""What the contract checks need to know of the models of cubes."""

from __future__ import annotations

from pathlib import Path

from stemcore import DataSpec, FieldSpec
from stemcore.testing import ModelExample


def cubes(*shape: int) -> DataSpec:
    """Cubes (bands, height, width) with values that do not count, after the transforms."""
    fields = (FieldSpec("input", shape, unit="reflectance"), FieldSpec("mask", shape, "bool", like="input"))
    return DataSpec({field.name: field for field in fields})


SPECS = (cubes(6, 8, 8), cubes(9, 10, 7))
ODD = cubes(5, 7, 3)


def mae_spectral(folder: Path) -> list[ModelExample]:
    """Every strategy; latents of each place, blocks that are computed twice."""
    small = {"patch": [3, 4, 4], "embed_dim": 8, "depth": 1, "heads": 2, "decoder_dim": 8, "decoder_depth": 1}
    small |= {"decoder_heads": 2, "mask_ratio": 0.5}
    variants: dict[str, dict[str, object]] = {
        "random": {},
        "tube": {"masking": "tube", "pooling": "tokens"},
        "spectral block": {"masking": "spectral_block", "checkpoint_blocks": True},
    }
    return [
        ModelExample(label=label, config={**small, **config}, specs=SPECS, odd=ODD, items=3)
        for label, config in variants.items()
    ]


def spectral_autoencoder(folder: Path) -> list[ModelExample]:
    """Of single pixels, linear, and with neighbours."""
    small = {"latent_dim": 3, "hidden": [8]}
    variants: dict[str, dict[str, object]] = {
        "pixels": {},
        "linear": {"hidden": []},
        "neighbours": {"context": 3, "pooling": "mean"},
    }
    return [
        ModelExample(label=label, config={**small, **config}, specs=SPECS, odd=ODD, items=3)
        for label, config in variants.items()
    ]
