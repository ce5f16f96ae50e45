"""Scores of classes, of images and of pixels, from logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torchmetrics.functional.classification import multiclass_stat_scores

from stem_images.classes import check_labels, paired_classes
from stemcore import SummedMetric, UserError

LARGEST = 1024
"""Classes for which there is room: how many there are is known with the first batch only."""
Classes = list[Annotated[int, Field(ge=0, lt=LARGEST)]]


class ClassCounts(SummedMetric):
    """Counts of each class over a data set: of what was given it, of what it is, and of both. What has no label (a
    negative one) does not count.

    Args:
        classes: classes (from 0) whose scores are reported too, as ``class_1``.
    """

    found: Tensor
    given: Tensor
    both: Tensor

    def __init__(self, *, classes: Sequence[int] | None = None) -> None:
        super().__init__()
        self.classes = list(dict.fromkeys(classes or ()))
        for name in ("found", "given", "both"):
            self.add_state(name, torch.zeros(LARGEST, dtype=torch.float64), dist_reduce_fx="sum")

    def reports(self) -> Mapping[str, Literal["max"]]:
        """The score, and those of the classes that are named."""
        return dict.fromkeys(["", *(f"class_{k}" for k in self.classes)], "max")

    def update(self, logits: Tensor, label: Tensor) -> None:
        """Takes in logits (n, classes, ...) and labels (n, ...) or (n, 1, ...).

        Raises:
            UserError: if they do not fit each other, or there is no such class.
        """
        logits, label = paired_classes(logits, label)
        number = logits.shape[1]
        check_labels(label, number)
        beyond = [str(k) for k in self.classes if k >= number]
        if beyond or number > LARGEST:
            what = f"there is no class {', '.join(beyond)}" if beyond else f"there are {number} classes"
            raise UserError(what, hint=f"classes are 0 to {min(number, LARGEST) - 1}")
        label = torch.where(label < 0, -1, label)
        counts = multiclass_stat_scores(
            logits.argmax(1), label, number, average="none", ignore_index=-1, validate_args=False
        )
        both, falsely, _, _, given = counts.to(self.both.dtype).unbind(-1)
        self.both[:number] += both
        self.found[:number] += both + falsely
        self.given[:number] += given

    def over_classes(self, score: Tensor, defined: Tensor) -> dict[str, Tensor]:
        """The mean of a score (LARGEST,) over the classes for which it is defined, and that of those named; NaN where
        there is none."""
        every = torch.where(defined, score, torch.nan)
        return {"": every.nanmean(), **{f"class_{k}": every[k] for k in self.classes}}


class MeanIntersectionOverUnion(ClassCounts):
    """Mean over classes of the intersection over union of pixels that are given a class and those that have it, both
    over the whole data set (Everingham et al., Int. J. Comput. Vis. 111, 98 (2015)). A class that occurs in neither has
    no part in the mean. It compares ``segmentation`` with ``label_map``; pixels without a label do not count.

    Args:
        classes: classes (from 0) whose ratios are reported too, as ``class_1``.
    """

    inputs: ClassVar[dict[str, str]] = {"logits": "segmentation", "label": "label_map"}

    def __init__(self, *, classes: Classes | None = None) -> None:
        super().__init__(classes=classes)

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        union = self.found + self.given - self.both
        return self.over_classes(self.both / union, union > 0)


class DiceScore(ClassCounts):
    """Mean over classes of the Dice coefficient, 2 |A and B| / (|A| + |B|), of pixels that are given a class and those
    that have it, both over the whole data set (Dice, Ecology 26, 297 (1945)). A class that occurs in neither has no
    part in the mean. It compares ``segmentation`` with ``label_map``; pixels without a label do not count.

    Args:
        classes: classes (from 0) whose coefficients are reported too, as ``class_1``.
    """

    inputs: ClassVar[dict[str, str]] = {"logits": "segmentation", "label": "label_map"}

    def __init__(self, *, classes: Classes | None = None) -> None:
        super().__init__(classes=classes)

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        either = self.found + self.given
        return self.over_classes(2 * self.both / either, either > 0)


class Accuracy(ClassCounts):
    """Share of items (or pixels) that are given their class; ``balanced``: the mean over classes of the share of each
    class that is found, so that rare ones count as much. What has no label (a negative one) does not count. It compares
    ``classification`` with ``label``.

    Args:
        classes: classes (from 0) whose shares found are reported too, as ``class_1``.
    """

    inputs: ClassVar[dict[str, str]] = {"logits": "classification"}

    def __init__(self, *, classes: Classes | None = None) -> None:
        super().__init__(classes=classes)

    def reports(self) -> Mapping[str, Literal["max"]]:
        """The share, ``balanced``, and those of the classes that are named."""
        return {**super().reports(), "balanced": "max"}

    def compute(self) -> dict[str, Tensor]:
        """The values that ``reports`` declares."""
        shares = self.over_classes(self.both / self.given, self.given > 0)
        return {**shares, "balanced": shares[""], "": self.both.sum() / self.given.sum()}
