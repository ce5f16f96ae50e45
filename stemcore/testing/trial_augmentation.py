"""Trying out an augmentation as the core uses it: on physical values of its fields, with a generator of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from stemcore.component.augmentation import Augmentation
from stemcore.data.intake import physical
from stemcore.testing.building import built, given
from stemcore.testing.examples import AugmentationExample
from stemcore.testing.promises import NotApplicable, ensure
from stemcore.testing.standard import ITEMS, field_values
from stemcore.testing.subject import Subject

BOUND = "target"
"""The name that the input has been given a second time before corrupting augmentations are called."""
SEEDS = range(20)

Batch = Mapping[str, Tensor]


class AugmentationTrial:
    """An augmentation and a batch of its fields.

    Attributes:
        example: what its author promises.
        spec: the fields of the data.
        fields: those it acts on.
        batch: physical values of these, each (n, *shape).
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.example = subject.promised(AugmentationExample)
        self.spec = given(subject)[0]
        self.fields = tuple(self.built().fields)
        self.batch = {name: self._values(name) for name in self.fields}

    def _values(self, name: str) -> Tensor:
        known = name if name in self.spec or name != BOUND else "input"
        ensure(known in self.spec, f"'{name}' is among its fields, the data have {', '.join(self.spec)}")
        spec = self.spec[known]
        if known not in self.example.tensors:
            return physical(spec, field_values(spec, ITEMS))
        stored = self.example.tensors[known]
        return physical(spec, torch.from_numpy(stored) if isinstance(stored, np.ndarray) else stored)

    def built(self) -> Augmentation:
        """The augmentation, as built for each run."""
        made: Augmentation = built(self.subject)
        return made

    def of_kind(self, kind: str) -> Augmentation:
        """The augmentation, for what concerns those of a kind only."""
        augmentation = self.built()
        if augmentation.kind != kind:
            raise NotApplicable(f"it is a {augmentation.kind} augmentation")
        return augmentation


def augmented(
    augmentation: Augmentation, batch: Batch, seed: int = 0, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """The tensors that it returns for a batch, checked to be tensors by name."""
    with torch.no_grad():
        found: Any = augmentation(dict(batch), torch.Generator(device).manual_seed(seed))
    ensure(isinstance(found, dict), f"forward returned {type(found).__name__}, not a dict of tensors by name")
    for name, value in found.items():
        ensure(isinstance(value, Tensor), f"forward returned {type(value).__name__} for '{name}', not a tensor")
    return dict(found)


def ensure_finite(found: Batch, of: str) -> None:
    """Every floating-point value is a finite one."""
    for name, value in found.items():
        wrong = int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0
        ensure(not wrong, f"{wrong} values of '{name}' are not finite{of}")


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches have the same tensors."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


class DrawnOn(TorchFunctionMode):
    """Watches that what is drawn from a generator is drawn on a device: elsewhere that of the batch is refused."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Makes the call and looks at what it made."""
        made = func(*args, **(kwargs or {}))
        drawn = any(isinstance(value, torch.Generator) for value in (*args, *(kwargs or {}).values()))
        if drawn and isinstance(made, Tensor):
            where = f"of a batch on {self.device} {func.__name__} draws on {made.device}"
            ensure(made.device.type == self.device.type, f"{where}, where its generator cannot: give device=x.device")
        return made
