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
    return [small("default"), small("plain", batch_norm=False, residual=False)]


def res_unet(folder: Path) -> list[ModelExample]:
    """Of two levels of two layers, and of one level, which has no skip connection."""
    levels = {"deep": {"widths": [12, 6], "layers": 2, "batch_norm": True}, "flat": {"widths": [8]}}
    return [ModelExample(label=label, config=config, specs=SPECS, odd=ODD) for label, config in levels.items()]


def generative_vae(folder: Path) -> list[ModelExample]:
    """Of either kind."""
    diffusion = {"steps": 10, "draws": 3, "denoiser": [16], "time_dim": 4}
    kinds = {"diffusion": diffusion, "gan": {"noise_dim": 3, "critic": [8]}}
    return [
        ModelExample(label=kind, config={**SMALL, "decoder_type": kind, **config}, specs=SPECS, odd=ODD)
        for kind, config in kinds.items()
    ]


def joint_vae_plus(folder: Path) -> ModelExample:
    """Flows and spectral normalisation."""
    return small("default", flows=1)


def joint_vae_vampprior(folder: Path) -> ModelExample:
    """A few pseudo-inputs."""
    return small("default", pseudo_inputs=6)


def joint_iwae(folder: Path) -> ModelExample:
    """Three draws."""
    return small("default", samples=3)


def joint_vq(folder: Path) -> list[ModelExample]:
    """Codebooks that are learned by gradients, and by moving means."""
    return [small("default", codes=4, groups=2), small("ema", codes=4, groups=2, ema=True)]


def joint_mm(folder: Path) -> ModelExample:
    """Two experts."""
    return small("default")


def small(label: str, **config: object) -> ModelExample:
    """A small model on tables of two sizes."""
    return ModelExample(label=label, config={**SMALL, **config}, specs=SPECS, odd=ODD)
