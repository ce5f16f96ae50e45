"""What the contract checks need to know of diffusion models and their loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcore import DataSpec, FieldSpec
from stemcore.testing import LossExample, ModelExample


def told(*shape: int) -> DataSpec:
    """Items with a class of three and a vector."""
    fields = (
        FieldSpec("input", shape),
        FieldSpec("label", (), "int64", classes=("a", "b", "c")),
        FieldSpec("vector", (2,)),
    )
    return DataSpec({field.name: field for field in fields})


def classes_and_vectors(spec: DataSpec, items: int) -> dict[str, np.ndarray]:
    """Labels of the three classes, and of none."""
    vectors = np.random.default_rng(1).normal(size=(items, 2)).astype(np.float32)
    return {"label": np.arange(items) % 4 - 1, "vector": vectors}


def diffusion_unet(folder: Path) -> list[ModelExample]:
    """With attention and conditions; sizes that do not halve."""
    small = {"channels": [8, 16], "blocks_per_level": 1, "head_dim": 4, "groups": 4, "timesteps": 50}
    specs, odd = (told(2, 8, 8), told(3, 12, 10)), told(1, 7, 5)
    variants: dict[str, dict[str, object]] = {
        "conditions": {"conditions": ["label", "vector"], "attention": [2]},
        "x0, one level": {"prediction": "x0", "channels": [8], "min_snr_gamma": 5.0, "schedule": "linear"},
    }
    return [
        ModelExample(
            label=label, config={**small, **config}, specs=specs, odd=odd, items=3, tensors=classes_and_vectors
        )
        for label, config in variants.items()
    ]


def diffusion_mlp(folder: Path) -> list[ModelExample]:
    """Every prediction, with and without conditions."""
    small = {"hidden": 16, "layers": 2, "timesteps": 50}
    variants: dict[str, dict[str, object]] = {
        "epsilon": {"schedule": "sigmoid"},
        "v, conditions": {"prediction": "v", "conditions": ["label", "vector"], "min_snr_gamma": 5.0},
        "x0": {"prediction": "x0", "schedule": "exponential"},
    }
    return [
        ModelExample(
            label=label,
            config={**small, **config},
            specs=(told(2), told(5)),
            odd=told(1),
            tensors=classes_and_vectors,
        )
        for label, config in variants.items()
    ]


def denoising(folder: Path) -> LossExample:
    """Estimates of noise, with weights."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(6, 2, 4, 4)).astype(np.float32)
    estimate = wanted + 0.3 * rng.normal(size=wanted.shape).astype(np.float32)
    tensors = {"estimate": estimate, "wanted": wanted, "loss_weight": np.linspace(0.2, 1.0, 6, dtype=np.float32)}
    return LossExample(
        tensors=tensors, zero={"estimate": wanted}, mean=True, reference=_denoising, gradient=["estimate"]
    )


def _denoising(estimate: np.ndarray, wanted: np.ndarray, loss_weight: np.ndarray) -> float:
    return float(np.mean([w * np.mean((e - o) ** 2) for e, o, w in zip(estimate, wanted, loss_weight, strict=True)]))
