"""Which values of a cube count: not bad ones, and on request only those that the model was not shown."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stemcore import UserError

Where = Literal["all", "hidden"]
"""``hidden``: only values that the model was not shown, all of them where nothing says which these are."""


def counted(prediction: Tensor, target: Tensor, mask: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
    """Where a voxel counts, bool, in the shape of the target.

    Args:
        prediction, target: cubes (n, bands, height, width).
        mask: true where a value is good, of a shape that expands to theirs; ``None`` where all are.
        hidden: true where the model was not shown a value, likewise; ``None`` where that does not matter.

    Raises:
        UserError: if these are no cubes, or their shapes do not fit.
    """
    if target.ndim != 4:
        raise UserError(f"cubes are (n, bands, height, width), not {tuple(target.shape)}")
    if prediction.shape != target.shape:
        raise UserError(
            f"the prediction {tuple(prediction.shape)} and its target {tuple(target.shape)} differ in shape",
            hint="'inputs' says what is compared with what",
        )
    valid = torch.ones_like(target, dtype=torch.bool)
    for name, given in (("mask", mask), ("'hidden'", hidden)):
        if given is None:
            continue
        try:
            valid = valid & given.bool().expand_as(target)
        except RuntimeError as error:
            said = f"a {name} {tuple(given.shape)} does not fit cubes {tuple(target.shape)}"
            raise UserError(said) from error
    return valid


def without_rest(valid: Tensor, *cubes: Tensor) -> tuple[Tensor, ...]:
    """The cubes with zeros where they do not count, in float32 at least: a cosine in half precision comes to 1 itself,
    and sums over a cube overflow. What stands there may be NaN: it goes before any arithmetic, since 0 * NaN would
    reach the gradient."""
    return tuple(torch.where(valid, cube.to(torch.promote_types(cube.dtype, torch.float32)), 0.0) for cube in cubes)


def mean_of(values: Tensor, valid: Tensor) -> Tensor:
    """The mean of the values that count; zero, with a gradient of zero, where there are none."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)
