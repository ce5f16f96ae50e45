"""Logits and labels, and scores of them by NumPy, one value after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stemcore.testing import MetricExample

CLASSES, ITEMS = 4, 9
Score = Callable[[int, int, int], float]


def of_pixels() -> dict[str, np.ndarray]:
    """Logits (n, classes, 6, 5) and labels (n, 1, 6, 5) of bands that move, some without a label; of the last class no
    pixel is, and none is given it."""
    y, x = np.indices((6, 5))
    label = (y + 2 * x + np.arange(ITEMS)[:, None, None]) // 3 % (CLASSES - 1)
    noise = np.random.default_rng(0).normal(size=(ITEMS, CLASSES, 6, 5))
    logits = 1.5 * np.eye(CLASSES)[label].transpose(0, 3, 1, 2) + noise
    logits[:, -1] = -5.0
    label[:, 0, 0], label[1, 3] = -1, -7
    return {"logits": logits.astype(np.float32), "label": label[:, None]}


def of_items() -> dict[str, np.ndarray]:
    """Logits (n, classes) and labels (n,), two of them unknown."""
    label = np.arange(ITEMS) % 3
    logits = 1.2 * np.eye(CLASSES)[label] + np.random.default_rng(1).normal(size=(ITEMS, CLASSES))
    label[[2, 5]] = -1
    return {"logits": logits.astype(np.float32), "label": label}


def miou(folder: Path) -> list[MetricExample]:
    """Pixels, with and without classes by name."""
    return _by_class(lambda both, found, given: both / (found + given - both))


def dice(folder: Path) -> list[MetricExample]:
    """Pixels, with and without classes by name."""
    return _by_class(lambda both, found, given: 2 * both / (found + given))


def accuracy(folder: Path) -> list[MetricExample]:
    """Items and pixels."""

    def reference(logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
        counts = _counts(logits, label)
        shares = [both / given for both, _, given in counts if given]
        right, known = sum(c[0] for c in counts), sum(c[2] for c in counts)
        return {"": right / known, "balanced": float(np.mean(shares)), "class_1": counts[1][0] / counts[1][2]}

    given = {"items": of_items(), "pixels": of_pixels()}
    return [
        MetricExample(label=label, config={"classes": [1]}, tensors=tensors, reference=reference)
        for label, tensors in given.items()
    ]


def _by_class(score: Score) -> list[MetricExample]:
    def reference(logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
        scores = [score(*counts) for counts in _counts(logits, label) if counts[1] or counts[2]]
        return {"": float(np.mean(scores)), "class_0": scores[0], "class_2": scores[2]}

    def mean(logits: np.ndarray, label: np.ndarray) -> float:
        return reference(logits, label)[""]

    return [
        MetricExample(label="named", config={"classes": [0, 2]}, tensors=of_pixels(), reference=reference),
        MetricExample(label="mean", tensors=of_pixels(), reference=mean),
    ]


def _counts(logits: np.ndarray, label: np.ndarray) -> list[tuple[int, int, int]]:
    """Of each class how many have it and are given it, are given it, and have it."""
    found = np.moveaxis(logits, 1, -1).argmax(-1).ravel()
    pairs = [(f, t) for f, t in zip(found, label.ravel(), strict=True) if t >= 0]
    return [
        (sum(f == t == k for f, t in pairs), sum(f == k for f, _ in pairs), sum(t == k for _, t in pairs))
        for k in range(logits.shape[1])
    ]
