"""What the contract checks need to know of the loss: its value by NumPy, and where it is zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcore.testing import LossExample


def total_variation(folder: Path) -> list[LossExample]:
    """Sharp and smoothed, of whole images and of masked ones."""
    images = np.random.default_rng(0).gamma(2.0, size=(6, 2, 9, 7)).astype(np.float32)
    valid = np.random.default_rng(1).random(images.shape) > 0.3
    flat = {"prediction": np.full_like(images, 3.0)}

    def sharp(prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
        return reference(prediction, mask, eps=0.0)

    def smooth(prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
        return reference(prediction, mask, eps=0.2)

    # A mean over pixels is one over items only while as many pixels of each count: not with a mask.
    return [
        LossExample(label="sharp", tensors={"prediction": images}, reference=sharp, zero=flat, mean=True),
        LossExample(
            label="smooth",
            config={"eps": 0.2},
            tensors={"prediction": images},
            reference=smooth,
            zero=flat,
            mean=True,
        ),
        LossExample(
            label="masked",
            config={"eps": 0.2},
            tensors={"prediction": images, "mask": valid},
            reference=smooth,
            zero=flat,
        ),
    ]


def reference(images: np.ndarray, mask: np.ndarray | None, eps: float) -> float:
    """Total variation of images (n, c, h, w) over the pixels that count, in float64."""
    valid = np.ones(images.shape, bool) if mask is None else mask
    total = 0.0
    for x, ok in ((images, valid), (images.swapaxes(2, 3), valid.swapaxes(2, 3))):
        change = np.hypot(np.diff(x, axis=3), eps) - eps
        total += change[ok[..., 1:] & ok[..., :-1]].sum()
    return float(total / valid.sum())
