"""The logarithm, of values that may be negative."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import log
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.extremes import Extremes
from stem_transforms.features import fixed, measured, named, refuse_infinite, refuse_never_measured
from stemcore import FieldSpec, Transform, UserError

logger = logging.getLogger("stemcore")
BASES = {"e": 1.0, "2": log(2), "10": log(10)}


class Log(Transform):
    """Logarithm of the values plus a shift: y = log(x + shift), with the inverse x = base^y - shift.

    Any shape. The shift is fitted: zero where all training values are at least ``eps``, else what takes the smallest of
    them to ``eps``. It is logged, and written with the run. NaN passes through and does not count in the fit. Later
    values that would come below ``eps`` are taken as ``eps``, so their logarithm is finite; these alone the inverse
    does not restore. Until fitted the shift is NaN.

    Args:
        eps: the smallest value of which the logarithm is taken.
        base: e, 2 or 10.
        by: one shift for the whole field, or one for each feature.

    Raises:
        UserError: for training values that are infinite, or if there are none.
    """

    fitted: ClassVar[bool] = True
    shift: Tensor

    def __init__(
        self,
        spec: FieldSpec,
        *,
        eps: Annotated[float, Field(gt=0)] = 1e-8,
        base: Literal["e", "2", "10"] = "e",
        by: Literal["field", "feature"] = "field",
    ) -> None:
        super().__init__(spec)
        self.eps = eps
        self._unit = BASES[base]
        self._extremes = Extremes(fixed(spec, "log") if by == "feature" else ())
        self.register_buffer("shift", torch.full(self._extremes.low.shape, torch.nan))

    def out_spec(self) -> FieldSpec:
        """The same field, of which any value may occur."""
        return replace(self.spec, minimum=None)

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape, bool) is false a value does not count."""
        self._extremes.add(x, measured(self.spec, x, mask))

    def finish(self) -> None:
        """Sets the shift.

        Raises:
            UserError: where there was no valid value, or one that is infinite.
        """
        found, name = self._extremes, self.spec.name
        if self.shift.ndim:
            refuse_never_measured(self.spec, found.unseen, "log")
            refuse_infinite(self.spec, found.bad, "log")
        elif bool(found.unseen):
            raise UserError(f"log: '{name}' has no valid training values")
        elif bool(found.bad):
            raise UserError(
                f"log: the training values of '{name}' hold NaN or infinity", hint="mask those values or mend the data"
            )
        shift = torch.where(found.low >= self.eps, 0.0, self.eps - found.low)
        self.shift.copy_(shift)
        self._report(shift, found.low)

    def _report(self, shift: Tensor, low: Tensor) -> None:
        name, moved = self.spec.name, shift != 0
        if not bool(moved.any()):
            return
        if shift.ndim:
            names = named(self.spec, moved)
            logger.info("log: features of '%s' are shifted by up to %.6g: %s", name, shift.max(), names)
        else:
            logger.info("log: '%s' is shifted by %.6g, its smallest training value being %.6g", name, shift, low)

    def forward(self, x: Tensor) -> Tensor:
        """log(x + shift), shape kept."""
        return torch.log((x + self.shift).clamp(min=self.eps)) / self._unit

    def inverse(self, x: Tensor) -> Tensor:
        """base^x - shift, shape kept."""
        return torch.exp(x * self._unit) - self.shift
