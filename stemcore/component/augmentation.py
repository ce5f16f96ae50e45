"""Augmentations: random changes of training batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from stemcore.component.fields import DataSpec, main_fields


class Augmentation(nn.Module, ABC):
    """A random change of a batch on the device, in physical units, before the transforms.

    ``geometric`` ones move pixels of all their fields together, before ``target`` is bound to ``input``;
    ``corrupting`` ones come after it and so change the input alone (or also the target, where it is in ``fields``).
    A corrupting one whose ``space`` is ``model`` comes after the transforms, and changes what they make of its fields.

    Args:
        spec: the fields of the data set.
        fields: the fields it acts on; a geometric one defaults to the inputs and all that is ``like`` them,
            a corrupting one to the inputs.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "geometric"
    space: Literal["physical", "model"] = "physical"

    def __init__(self, spec: DataSpec, *, fields: Sequence[str] | None = None) -> None:
        super().__init__()
        self.spec = spec
        if fields is None:
            inputs = main_fields(spec) or ["input"]
            like = [n for n, f in spec.items() if f.like in inputs] if self.kind == "geometric" else []
            fields = [*inputs, *like]
        self.fields = tuple(fields)

    @abstractmethod
    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Takes and returns the tensors named by ``fields``, each (n, *shape). All randomness comes from
        ``generator`` (on the batch's device), which is seeded by run, epoch and batch: resuming repeats it."""
