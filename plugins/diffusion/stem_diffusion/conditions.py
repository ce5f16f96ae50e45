"""What a diffusion model is told beside the item: its class, or a vector of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from stemcore import DataSpec, UserError

Condition = Literal["label", "vector"]
Given = Mapping[str, Tensor | None]


class Conditions(nn.Module):
    """Conditions of items as vectors that are added to the embedding of the step.

    A condition that is not there, or that is hidden from the model, has an embedding of its own, which is learnt:
    what the model says without conditions.

    Args:
        spec: the fields after the transforms.
        names: the fields that are conditions.
        classes: of the label, where its field does not name them.
        width: of the embedding.

    Raises:
        UserError: for a condition that the data lack, or a label whose classes are not known.
    """

    def __init__(self, spec: DataSpec, names: Sequence[Condition], classes: int | None, width: int) -> None:
        super().__init__()
        for name in names:
            if name not in spec:
                message = f"the data have no field '{name}' for model.conditions"
                raise UserError(message, hint=f"they have {', '.join(spec)}")
        self.names = tuple(dict.fromkeys(names))
        self.classes = 0
        if "label" in names:
            self.classes = classes_of(spec, classes)
            self.label = nn.Embedding(self.classes + 1, width)
        if "vector" in names:
            self.vector = nn.Sequential(nn.Linear(spec["vector"].size, width), nn.SiLU(), nn.Linear(width, width))
            self.no_vector = nn.Parameter(torch.zeros(width))

    def forward(self, given: Given, kept: Tensor) -> Tensor | None:
        """The embedding (n, width) of ``label`` (n,) and ``vector`` (n, D); ``None`` for a model without conditions.

        Args:
            given: the conditions by name, any of which may be missing; a label below 0 is no class.
            kept: (n,) bool, false where conditions are hidden.
        """
        parts = []
        if "label" in self.names:
            label = given.get("label")
            none = torch.full(kept.shape, self.classes, dtype=torch.long, device=kept.device)
            chosen = none if label is None else torch.where(kept & (label >= 0), label.long(), none)
            parts.append(self.label(chosen))
        if "vector" in self.names:
            vector = given.get("vector")
            nothing = self.no_vector.expand(len(kept), -1)
            parts.append(nothing if vector is None else torch.where(kept[:, None], self.vector(vector), nothing))
        return sum(parts[1:], parts[0]) if parts else None


def classes_of(spec: DataSpec, classes: int | None) -> int:
    """How many classes the label has.

    Raises:
        UserError: if neither the data nor the recipe says so, or they differ.
    """
    named = len(spec["label"].classes)
    if classes is None and not named:
        raise UserError("the data do not name the classes of 'label'", hint="give their number by model.classes")
    if classes is not None and named and classes < named:
        raise UserError(f"model.classes is {classes}, the data have {named}", hint="leave model.classes out")
    return classes or named
