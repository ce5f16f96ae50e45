"""How far samples have the classes of pixels that they were told to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

GIVEN = "label_map"
"""The condition that tells them."""


class Agreement:
    """Counts pixels by the class that was given and the one that the decoder sees in the sample.

    Accuracy is the share of pixels whose classes agree; the IoU of a class is the number of pixels that have it in both
    over that of those that have it in either, over all samples together; ``miou`` is its mean over the classes that
    occur. Pixels that were given no class (a negative one) do not count.

    Args:
        classes: their names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.counts = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, given: np.ndarray, seen: np.ndarray) -> None:
        """Takes in samples.

        Args:
            given: (n, 1, H, W) or (n, H, W) integers.
            seen: (n, H, W) integers.
        """
        given = given.reshape(seen.shape).astype(np.int64)
        counts = given >= 0
        pairs = given[counts] * len(self.classes) + seen[counts]
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    def document(self) -> dict[str, Any]:
        """``accuracy``, ``miou``, and ``iou`` by the class's name, ``None`` for one that does not occur."""
        both = np.diag(self.counts)
        either = self.counts.sum(axis=0) + self.counts.sum(axis=1) - both
        iou = [float(b / e) if e else None for b, e in zip(both, either, strict=True)]
        found = [value for value in iou if value is not None]
        total = int(self.counts.sum())
        return {
            "accuracy": float(both.sum() / total) if total else None,
            "miou": float(np.mean(found)) if found else None,
            "iou": dict(zip(self.classes, iou, strict=True)),
        }


def fits(given: np.ndarray, seen: np.ndarray, classes: Sequence[str]) -> bool:
    """Whether given maps (n, 1, H, W) and seen ones (n, H, W) are of one size, and there are classes to compare."""
    return bool(classes) and given.shape[-2:] == seen.shape[-2:] and int(seen.max(initial=0)) < len(classes)


def line(document: dict[str, Any]) -> str:
    """The agreement in a line of text."""
    shares = ", ".join(f"{name} {value:.3f}" for name, value in document["iou"].items() if value is not None)
    return f"given and seen classes agree in {document['accuracy']:.1%} of the pixels; IoU {shares}"
