"""What the contract checks need to know of the paired plugins."""

from __future__ import annotations

from pathlib import Path

from stemcore import DataSpec, FieldSpec
from stemcore.testing import ModelExample


def tables(a: int, b: int) -> DataSpec:
    """Two platforms of so many features, after the transforms."""
    return DataSpec({n: FieldSpec(n, (width,)) for n, width in (("input_a", a), ("input_b", b))})


SPECS = (tables(12, 7), tables(5, 16))
ODD = tables(1, 3)
SMALL = {"latent_dim": 4, "encoder": [16], "decoder": [16]}


def joint_vae(folder: Path) -> list[ModelExample]:
    """As it is by default but small, and without normalisation and shortcuts."""
    return [
        ModelExample(label="default", config=SMALL, specs=SPECS, odd=ODD),
        ModelExample(label="plain", config={**SMALL, "batch_norm": False, "residual": False}, specs=SPECS, odd=ODD),
    ]
