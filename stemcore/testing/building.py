"""Building a component as the core would: what it is given by position comes from its example."""

from __future__ import annotations

import math
from typing import Any

import torch

from stemcore.component.kinds import FILES
from stemcore.testing.examples import AugmentationExample, ModelExample, OptimizerExample, TransformExample
from stemcore.testing.promises import NotApplicable
from stemcore.testing.standard import image_spec
from stemcore.testing.subject import Subject

TOTAL = 20
"""Length of a run, in steps or epochs."""


def built(subject: Subject) -> Any:
    """The component of a subject, built as the core would build it."""
    return subject.build(*given(subject))


def given(subject: Subject) -> tuple[Any, ...]:
    """What the core hands over by position to a component of its kind."""
    kind = subject.kind
    if kind == "transform":
        return (subject.promised(TransformExample).spec or image_spec()["input"],)
    if kind == "augmentation":
        return (subject.promised(AugmentationExample).spec or image_spec(),)
    if kind == "model":
        return ((*subject.promised(ModelExample).specs, image_spec())[0],)
    if kind == "optimizer":
        return (parameters(subject),)
    if kind == "scheduler":
        return (torch.optim.SGD(parameters(subject), lr=0.1), TOTAL)
    if kind == "weight_schedule":
        return (TOTAL,)
    if kind == "logger":
        return (subject.folder,)
    if kind in ("command", "plugin", *FILES):
        raise NotApplicable(f"a {kind} is not built")
    return ()


def parameters(subject: Subject) -> list[torch.nn.Parameter]:
    """What is to be optimized: a matrix and a vector, or parameters of the shapes that an example names."""
    shapes = subject.example.shapes if isinstance(subject.example, OptimizerExample) else OptimizerExample().shapes
    return [torch.nn.Parameter(torch.linspace(-1, 1, math.prod(shape)).reshape(shape)) for shape in shapes]
