"""Losses: data terms and regularizers alike."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar

from torch import nn


class Loss(nn.Module, ABC):
    """A term of the total loss. ``forward`` names the tensors it wants, from batch and outputs, and returns a scalar;
    one with default ``None`` is given where somebody provides it (``mask: Tensor | None = None``, bool, true where a
    value counts). Besides tensors it may name ``model``, ``transforms``, ``progress`` (0 to 1) and ``spec``.

    Tensors come in float32, in the model's space unless ``inputs`` (here, or in the recipe) asks otherwise:
    ``{"prediction": "prediction@physical"}``. Buffers are allowed, trainable parameters are not: those live in
    the model.
    """

    inputs: ClassVar[Mapping[str, str]] = {}
