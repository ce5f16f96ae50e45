"""Augmentations that move pixels, in all their fields together."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.images import image_size
from stem_transforms.named_fields import check_known
from stemcore import Augmentation, DataSpec, UserError


class _Geometric(Augmentation):
    """Checks that the fields are images; they may hold numbers, labels or truth values."""

    kind: ClassVar[Literal["geometric", "corrupting"]] = "geometric"

    def __init__(self, spec: DataSpec, *, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(spec, fields=fields)
        who = type(self).__name__.lower()
        check_known(spec, self.fields, who)
        for name in self.fields:
            image_size(spec[name], who)


class Flip(_Geometric):
    """Mirrors each item, along either axis by chance, all fields (n, ..., h, w) of an item alike.

    Args:
        fields: the fields to mirror together; by default the input and what is like it.
        horizontal: whether to mirror left and right.
        vertical: whether to mirror top and bottom.
        p: the chance, for each axis by itself.

    Raises:
        UserError: where neither axis is chosen, or a field is unknown or no image.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        horizontal: bool = True,
        vertical: bool = True,
        p: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__(spec, fields=fields)
        self.axes = [axis for axis, chosen in ((-1, horizontal), (-2, vertical)) if chosen]
        self.p = p
        if not self.axes:
            raise UserError("flip: neither horizontal nor vertical is chosen", hint="set one of them, or leave it out")

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Mirrors the items of a batch."""
        out = dict(batch)
        names = [name for name in self.fields if name in batch]
        if not names:
            return out
        first = batch[names[0]]
        for axis in self.axes:
            chance = torch.rand(first.shape[0], generator=generator, device=first.device)
            for name in names:
                out[name] = _where(chance < self.p, out[name].flip(axis), out[name])
        return out


class Rotate90(_Geometric):
    """Turns each item by 0, 90, 180 or 270 degrees, each as likely, all fields (n, ..., h, w) of an item alike.

    Unless all its fields are square, only by 0 or 180 degrees, so that an item keeps its shape.

    Args:
        fields: the fields to turn together; by default the input and what is like it.

    Raises:
        UserError: where a field is unknown or no image.
    """

    def __init__(self, spec: DataSpec, *, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(spec, fields=fields)

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Turns the items of a batch, counter-clockwise as ``numpy.rot90`` does."""
        out = dict(batch)
        names = [name for name in self.fields if name in batch]
        if not names:
            return out
        first = batch[names[0]]
        square = all(batch[name].shape[-1] == batch[name].shape[-2] for name in names)
        turns = torch.randint(4 if square else 2, (first.shape[0],), generator=generator, device=first.device)
        if not square:
            turns = turns * 2
        for name in names:
            out[name] = _turned(out[name], turns, square)
        return out


def _turned(x: Tensor, turns: Tensor, square: bool) -> Tensor:
    """Items turned by quarters: a quarter is a transpose and then a flip of rows, three are one of columns."""
    if square:
        # In this order the result is laid out as x is, not as its transpose.
        x = _where(turns % 2 == 0, x, x.transpose(-2, -1))
    x = _where((turns == 1) | (turns == 2), x.flip(-2), x)
    return _where(turns >= 2, x.flip(-1), x)


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Item by item one or the other."""
    return torch.where(chosen.reshape(-1, *[1] * (no.ndim - 1)), yes, no)
