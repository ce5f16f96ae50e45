"""Logits of classes beside the labels that are known."""

from __future__ import annotations

from torch import Tensor

from stemcore import UserError


def paired_classes(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, classes, ...) and labels (n, ...), which may come as maps of one channel (n, 1, ...).

    Raises:
        UserError: if labels are no whole numbers, or do not fit the logits.
    """
    if label.is_floating_point() or label.is_complex():
        raise UserError(
            f"labels are whole numbers, these are {str(label.dtype).removeprefix('torch.')}",
            hint="'inputs' says which field is 'label'",
        )
    if label.ndim == logits.ndim and label.shape[1] == 1:
        label = label[:, 0]
    if logits.ndim < 2 or label.shape != (len(logits), *logits.shape[2:]):
        raise UserError(
            f"logits {tuple(logits.shape)} are not those of labels {tuple(label.shape)}",
            hint="right are (n, classes) and (n,), or (n, classes, h, w) and (n, h, w) or (n, 1, h, w)",
        )
    return logits, label.long()


def check_labels(label: Tensor, classes: int) -> None:
    """Looks on a CPU, where it costs next to nothing, whether labels are below the number of classes.

    Raises:
        UserError: if one is not.
    """
    if label.device.type == "cpu" and label.numel() and int(label.max()) >= classes:
        raise UserError(f"there is a label {int(label.max())}, of {classes} classes", hint="classes count from 0")
