"""Losses of classes: of images and of pixels."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stem_images.classes import check_labels, paired_classes
from stemcore import Loss, UserError

Weight = Annotated[float, Field(ge=0)]


class CrossEntropy(Loss):
    """Cross-entropy of logits a and labels y, the weighted mean over all that have a label, of images or of pixels:
    sum_i w[y_i] (-sum_k q_ik log softmax(a_i)_k) / sum_i w[y_i], with q = 1 - s + s / K at the label and s / K at the
    other classes, for a smoothing s (Szegedy et al., arXiv:1512.00567). The softmax is taken here, so a model gives
    logits. Negative labels do not count; where none does, the loss is zero, with a gradient of zero.

    It compares ``classification`` with ``label``; a segmentation it serves by
    ``inputs: {logits: segmentation, label: label_map}``.

    Args:
        class_weights: a weight w for each class, for classes that are rare; by default 1.
        label_smoothing: the share s of each label that is spread over all classes.
    """

    inputs: ClassVar[dict[str, str]] = {"logits": "classification"}
    weights: Tensor | None

    def __init__(
        self,
        *,
        class_weights: Annotated[list[Weight], Field(min_length=2)] | None = None,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weights", None if class_weights is None else torch.tensor(class_weights))

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The loss, a scalar, of logits (n, classes, ...) and labels (n, ...) or (n, 1, ...).

        Raises:
            UserError: if they do not fit each other, or there are more or fewer weights than classes.
        """
        logits, label = paired_classes(logits, label)
        classes = logits.shape[1]
        check_labels(label, classes)
        if self.weights is not None and len(self.weights) != classes:
            raise UserError(f"there are {len(self.weights)} class_weights, of {classes} classes")
        known = label >= 0
        scores = torch.log_softmax(logits, 1)
        at_label = -scores.gather(1, label.clamp(min=0).unsqueeze(1)).squeeze(1)
        error = (1 - self.label_smoothing) * at_label - self.label_smoothing * scores.mean(1)
        weight = known.to(error.dtype)
        if self.weights is not None:
            weight = weight * self.weights.to(error.dtype)[label.clamp(min=0)]
        total = weight.sum()
        return (weight * error).sum() / torch.where(total > 0, total, 1.0)


class Dice(Loss):
    """Soft Dice loss of logits a and labels y, 1 - mean_k [2 sum_i p_ik g_ik + c] / [sum_i (p_ik + g_ik) + c], with
    p = softmax(a), g = 1 at the label and 0 elsewhere, i over the pixels of an item that have a label (not negative),
    k over classes, and then the mean over items. A class that an item neither has nor is given costs nothing.

    Milletari, Navab and Ahmadi, V-Net, arXiv:1606.04797, with sums rather than sums of squares below (Drozdzal et al.,
    arXiv:1608.04117). It compares ``segmentation`` with ``label_map``.

    Args:
        smooth: c, in pixels, which keeps the ratio defined.
        background: whether class 0 is among the classes k.
    """

    inputs: ClassVar[dict[str, str]] = {"logits": "segmentation", "label": "label_map"}

    def __init__(self, *, smooth: Annotated[float, Field(gt=0)] = 1.0, background: bool = True) -> None:
        super().__init__()
        self.smooth, self.first = smooth, 0 if background else 1

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The loss, a scalar in [0, 1), of logits (n, classes, ...) and labels (n, ...) or (n, 1, ...).

        Raises:
            UserError: if they do not fit each other.
        """
        logits, label = paired_classes(logits, label)
        check_labels(label, logits.shape[1])
        known = (label >= 0).unsqueeze(1)
        share = torch.where(known, torch.softmax(logits, 1), 0.0)
        given = functional.one_hot(label.clamp(min=0), logits.shape[1]).movedim(-1, 1).to(share.dtype) * known
        both, either = ((x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)).sum(2) for x in (share * given, share + given))
        overlap = (2 * both + self.smooth) / (either + self.smooth)
        return 1 - overlap[:, self.first :].mean()
