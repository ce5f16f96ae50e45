"""A trained model that another one uses and that does not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.component.model import Model
from stemcore.data.chain import Chain
from stemcore.data.intake import physical
from stemcore.data.pipeline import Pipeline
from stemcore.errors import UserError, close_match


class FrozenRun(nn.Module):
    """The model of a run and its transforms, for the model of another run that uses them.

    As a submodule it follows the other model from device to device, and nothing else: it has no parameters, buffers or
    entries of a state as far as PyTorch can see, so that optimizers, averages of weights, regularizers and checkpoints
    pass it by, and ``train()`` does not reach it. Copies of a model share it.

    Attributes:
        model: the model, in evaluation mode; its parameters take no gradient, though one passes through to what the
            model is given.
        fields: the fields that it was trained on, as stored.
        spec: the fields that the model sees, after the transforms.
    """

    model: Model
    fields: DataSpec
    spec: DataSpec

    def __init__(self, model: Model, pipeline: Pipeline) -> None:
        super().__init__()
        model.eval().requires_grad_(False)
        pipeline.requires_grad_(False)
        # Not by assignment, which would register them.
        self.__dict__["model"], self.__dict__["_pipeline"] = model, pipeline
        self.fields, self.spec = pipeline.intake.stored, pipeline.spec

    def to_model(self, name: str, stored: Tensor) -> Tensor:
        """A field (n, *shape) as it is stored, taken to the model's space; differentiable.

        Raises:
            UserError: if the run knows no such field.
        """
        field, chain = self._found(name)
        values = physical(field, stored)
        return values if chain is None else chain(values)

    def to_physical(self, name: str, values: Tensor) -> Tensor:
        """A field, or an output that is like one, (n, *shape), taken from the model's space to physical units;
        differentiable.

        Raises:
            UserError: if the run knows no such field, and no output that is like one.
        """
        _, chain = self._found(name)
        return values if chain is None else chain.inverse(values)

    def to_stored(self, name: str, values: Tensor) -> Tensor:
        """A field, or an output that is like one, (n, *shape), taken from the model's space to the numbers in which it
        is stored, unrounded; differentiable.

        Raises:
            UserError: if the run knows no such field, and no output that is like one.
        """
        field, _ = self._found(name)
        values = self.to_physical(name, values)
        return values if (field.scale, field.offset) == (1.0, 0.0) else (values - field.offset) / field.scale

    def _found(self, name: str) -> tuple[FieldSpec, Chain | None]:
        pipeline: Pipeline = self.__dict__["_pipeline"]
        name = pipeline.targets.get(name, name)
        if name not in self.fields:
            output = self.model.provides().get(name)
            if output is None or output.like is None:
                raise UserError(f"the run has no field '{name}'", hint=close_match(name, self.fields))
            name = output.like
        return self.fields[name], pipeline.chain(name)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> FrozenRun:
        self.model._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.__dict__["_pipeline"]._apply(fn, recurse)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenRun:
        return self

    def extra_repr(self) -> str:
        """The model's class."""
        return type(self.model).__name__


def frozen_parameters(model: nn.Module) -> int:
    """The parameters of all frozen runs that a model uses, those within others included."""
    inner = [module.model for module in model.modules() if isinstance(module, FrozenRun)]
    return sum(sum(p.numel() for p in one.parameters()) + frozen_parameters(one) for one in inner)
