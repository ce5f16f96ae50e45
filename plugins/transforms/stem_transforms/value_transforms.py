"""Transforms of single values by a fixed formula."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import FieldSpec, Transform, UserError

ANSCOMBE_OFFSET = 3 / 8
# The unbiased inverse is zero at the transform of zero counts, D = 2 sqrt(3/8) = sqrt(3/2), with this slope there.
_ZERO_COUNTS = sqrt(3 / 2)
_SLOPE_AT_ZERO = _ZERO_COUNTS / 2 - 1 / (4 * _ZERO_COUNTS) + 7 / (8 * _ZERO_COUNTS**3)


class Log1p(Transform):
    """Logarithm of the values plus one: y = log(x + 1), with the inverse x = exp(y) - 1.

    Any shape. Both directions are computed by ``log1p`` and ``expm1``, so that small values keep their digits. Values
    must be above -1; what is not becomes NaN or minus infinity.

    Raises:
        UserError: where the field's ``minimum`` allows values of -1 or less.
    """

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        if spec.minimum is not None and spec.minimum <= -1:
            raise UserError(
                f"log1p needs values above -1, and those of '{spec.name}' go down to {spec.minimum:g}",
                hint="use standardize or minmax, which take any values",
            )

    def forward(self, x: Tensor) -> Tensor:
        """log(x + 1), shape kept."""
        return torch.log1p(x)

    def inverse(self, x: Tensor) -> Tensor:
        """exp(x) - 1, shape kept."""
        return torch.expm1(x)


class Sqrt(Transform):
    """Square root that makes the variance of Poisson counts about one: y = 2 sqrt(x + offset) (Anscombe 1948).

    Any shape. Values below ``-offset`` are taken as ``-offset``. Both inverses are defined, differentiable and strictly
    increasing for every finite y, also below the range of the forward direction, where a network's outputs may lie:

    - ``algebraic``: y|y|/4 - offset, which is (y/2)^2 - offset on that range. Undoes ``forward``.
    - ``unbiased``: the closed form of Mäkitalo and Foi (IEEE Trans. Image Process. 20, 2011, 2697),
      y^2/4 + sqrt(3/2)/(4y) - 11/(8 y^2) + 5 sqrt(3/2)/(8 y^3) - 1/8, continued by its tangent below
      y = sqrt(3/2), where it is zero. It takes the *mean* of transformed counts back to the mean of the counts, so it
      is for denoised values; for single noisy counts it does not undo ``forward``.

    Args:
        offset: what is added before the root; 3/8 is Anscombe's.
        inverse: ``algebraic``, or ``unbiased`` for denoised values (offset 3/8 only).

    Raises:
        UserError: for the unbiased inverse with another offset.
    """

    def __init__(
        self,
        spec: FieldSpec,
        *,
        offset: Annotated[float, Field(ge=0)] = ANSCOMBE_OFFSET,
        inverse: Literal["algebraic", "unbiased"] = "algebraic",
    ) -> None:
        super().__init__(spec)
        if inverse == "unbiased" and offset != ANSCOMBE_OFFSET:
            raise UserError(
                f"sqrt: the unbiased inverse holds for an offset of {ANSCOMBE_OFFSET}, not {offset:g}",
                hint="leave out offset, or set inverse: algebraic",
            )
        self.offset = offset
        self.unbiased = inverse == "unbiased"

    def forward(self, x: Tensor) -> Tensor:
        """2 sqrt(x + offset), shape kept."""
        return 2 * torch.sqrt((x + self.offset).clamp(min=0))

    def inverse(self, x: Tensor) -> Tensor:
        """Back to counts, shape kept."""
        if not self.unbiased:
            return x * x.abs() / 4 - self.offset
        d = x.clamp(min=_ZERO_COUNTS)
        r = 1 / d
        # Powers of 1/d rather than of d: a very large d then gives infinity, never infinity over infinity.
        counts = d * d / 4 - 1 / 8 + r * (_ZERO_COUNTS / 4 + r * (-11 / 8 + r * (5 * _ZERO_COUNTS / 8)))
        return counts + _SLOPE_AT_ZERO * (x - d)
