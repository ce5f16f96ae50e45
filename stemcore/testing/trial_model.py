"""A model built for the fields of its example, and run on values for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from stemcore.assemble.wiring import signature_of
from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.component.model import Model
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import ModelExample
from stemcore.testing.promises import Broken, NotApplicable, ensure
from stemcore.testing.standard import field_values, image_spec
from stemcore.testing.subject import Subject

Outputs = dict[str, Tensor]


class TrialModel:
    """A model for one spec.

    Args:
        subject: the model under check.
        spec: the fields after the transforms; by default the first of its example.
        seed: of its first weights.
    """

    def __init__(self, subject: Subject, spec: DataSpec | None = None, *, seed: int = 0) -> None:
        self.subject = subject
        self.example = subject.promised(ModelExample)
        self.spec = spec or specs_of(subject)[0]
        self.model = build(subject, self.spec, seed)
        self.optional = {name for name, optional in signature_of(self.model.forward).items() if optional}
        self.names = [
            name for name in signature_of(self.model.forward) if name in self.spec or name not in self.optional
        ]

    @property
    def items(self) -> int:
        """Size of a batch."""
        return self.example.items

    def fields(self, items: int | None = None, *, without: frozenset[str] = frozenset()) -> Outputs:
        """Values for the fields that ``forward`` names, each (items, *shape)."""
        items = items or self.items
        own = dict(self.example.tensors(self.spec, items)) if self.example.tensors else {}
        given = {}
        for name in self.names:
            if name in without:
                continue
            ensure(
                name in self.spec or name in own, f"forward takes '{name}', which is no field: {', '.join(self.spec)}"
            )
            value = own[name] if name in own else field_values(self.spec[name], items)
            tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            given[name] = tensor.float() if tensor.is_floating_point() or name == "input" else tensor
        return given

    def __call__(self, fields: Mapping[str, Tensor], *, seed: int = 0) -> Outputs:
        """The outputs, with torch's random numbers from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            outputs = self.model(**fields)
        ensure(isinstance(outputs, Mapping), f"forward returned {type(outputs).__name__}, not a dict of tensors")
        wrong = {n: type(v).__name__ for n, v in outputs.items() if not isinstance(v, Tensor)}
        ensure(not wrong, f"forward returned outputs that are no tensors: {wrong}")
        return dict(outputs)

    def trained(self) -> TrialModel:
        """In training."""
        self.model.train()
        return self

    def applied(self) -> TrialModel:
        """As it is applied."""
        self.model.eval()
        return self

    def provides(self) -> Mapping[str, FieldSpec]:
        """What it declares."""
        return self.model.provides()


def build(subject: Subject, spec: DataSpec, seed: int = 0) -> Model:
    """A model with first weights that depend on the seed alone.

    Raises:
        NotApplicable: if it takes no images and its example names no other fields.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: Model = subject.build(spec)
        except (Broken, KeyError) as error:
            if subject.promised(ModelExample).specs:
                raise
            raise NotApplicable(f"it is not for images: an example gives its specs ({cause_of(error)})") from error
    return model


def specs_of(subject: Subject) -> list[DataSpec]:
    """The fields it is tried on, in at least two sizes."""
    specs = list(subject.promised(ModelExample).specs)
    return specs or [image_spec(16, 16), image_spec(24, 20)]


def trials(subject: Subject) -> Iterator[TrialModel]:
    """A trial for each size."""
    for spec in specs_of(subject):
        yield TrialModel(subject, spec)


def objective(outputs: Mapping[str, Tensor]) -> Tensor:
    """A number to which every value of every floating-point output contributes, in another way each."""
    total = torch.zeros(())
    for number, value in enumerate(v for v in outputs.values() if v.is_floating_point()):
        weights = torch.cos(torch.arange(value.numel()) + number).reshape(value.shape)
        total = total + (value * weights).sum() + 0.1 * value.square().sum()
    return total


def near(a: Mapping[str, Tensor], b: Mapping[str, Tensor], share: float) -> str:
    """The first output in which two results differ by more than a share of its size; empty if there is none."""
    for name, value in a.items():
        if not value.numel():
            continue
        first, second = value.detach().float(), b[name].detach().float()
        apart, size = float((first - second).abs().max()), max(1e-3, float(first.abs().max()))
        if not apart <= share * size:
            return f"'{name}' differs by {apart:.3g}, its largest value is {size:.3g}"
    return ""
