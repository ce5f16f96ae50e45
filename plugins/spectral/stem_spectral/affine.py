"""An augmentation that turns, shifts and scales cubes with all that lies on their pixels."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_spectral.cube_libraries import imported
from stemcore import Augmentation, DataSpec, UserError

Factor = Annotated[float, Field(gt=0)]


class Affine(Augmentation):
    """Turns, scales and shifts each item by chance, all its fields (n, ..., h, w) by the same.

    A point at r from the middle of an image goes to s R r + t: the angle of R and the shift t are drawn evenly, the
    logarithm of s, too. Numbers are interpolated between the four nearest pixels, masks and labels taken from the
    nearest. Where a pixel comes from outside of the image, the image is mirrored at its outermost pixels; a field with
    a mask is 0 there instead and its mask false, and a label -1. Values that do not count (mask false) take no part in
    interpolation. kornia resamples.

    Args:
        fields: the fields to move together; by default the inputs and what is like them.
        degrees: the largest angle, either way; 180 for any.
        translate: the largest shift, as a part of height and width.
        scale: the smallest and the largest factor; above 1 enlarges.
        p: the chance for an item to be moved at all.

    Raises:
        UserError: for an unknown field or one without pixels, swapped ends of the scale, or where nothing would move.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "geometric"

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        degrees: Annotated[float, Field(ge=0, le=180)] = 0.0,
        translate: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        scale: tuple[Factor, Factor] = (1.0, 1.0),
        p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ) -> None:
        super().__init__(spec, fields=fields)
        _check(spec, self.fields, scale)
        if not degrees and not translate and tuple(scale) == (1, 1):
            raise UserError("affine: nothing would move", hint="set degrees, translate or scale")
        imported("kornia.geometry.transform", "the augmentation affine")
        self.degrees, self.translate, self.scale, self.p = degrees, translate, scale, p

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Moves the items of a batch."""
        out = dict(batch)
        names = [name for name in self.fields if name in batch]
        if not names:
            return out
        first = batch[names[0]]
        drawn = torch.rand(first.shape[0], 5, generator=generator, device=first.device)
        moved = drawn[:, 4] < self.p
        for name in names:
            whole = batch[name].flatten(1, -3) if batch[name].ndim > 3 else batch[name][:, None]
            mask_name = "mask" + name.removeprefix("input") if name.startswith("input") else ""
            mask = batch[mask_name] if mask_name in names else None
            after = self._moved(name, whole, mask, drawn).reshape(batch[name].shape)
            out[name] = torch.where(moved.reshape(-1, *[1] * (after.ndim - 1)), after, batch[name])
        return out

    def _moved(self, name: str, x: Tensor, mask: Tensor | None, drawn: Tensor) -> Tensor:
        """A field (n, c, h, w), moved."""
        field = self.spec.get(name)
        is_mask = x.dtype == torch.bool
        if is_mask:
            return self._warped(x.float(), drawn, "nearest", "zeros") > 0
        if not x.is_floating_point() or (field is not None and field.classes):
            inside = self._warped(torch.ones_like(x[:, :1], dtype=torch.float32), drawn, "nearest", "zeros") > 0
            labels = self._warped(x.double(), drawn, "nearest", "zeros").to(x.dtype)
            return torch.where(inside, labels, -1)
        if mask is None:
            return self._warped(x, drawn, "bilinear", "reflection")
        counts = mask.reshape(x.shape).to(x.dtype)
        weight = self._warped(counts, drawn, "bilinear", "zeros")
        values = self._warped(torch.where(counts > 0, x, 0), drawn, "bilinear", "zeros")
        inside = self._warped(counts, drawn, "nearest", "zeros") > 0
        return torch.where(inside & (weight > 0), values / weight.where(weight > 0, 1), 0)

    def _warped(self, x: Tensor, drawn: Tensor, mode: str, padding: str) -> Tensor:
        warp = imported("kornia.geometry.transform", "the augmentation affine").warp_affine
        height, width = x.shape[-2:]
        matrix = self._matrix(drawn.to(x.dtype), height, width)
        warped: Tensor = warp(x, matrix, (height, width), mode=mode, padding_mode=padding, align_corners=True)
        return warped

    def _matrix(self, drawn: Tensor, height: int, width: int) -> Tensor:
        """Where pixels (x, y) go (n, 2, 3), for drawn numbers (n, 5) from 0 to 1."""
        angle = (2 * drawn[:, 0] - 1) * math.radians(self.degrees)
        low, high = math.log(self.scale[0]), math.log(self.scale[1])
        factor = torch.exp(low + (high - low) * drawn[:, 1])
        cos, sin = factor * torch.cos(angle), factor * torch.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        right = x + (2 * drawn[:, 2] - 1) * self.translate * width
        down = y + (2 * drawn[:, 3] - 1) * self.translate * height
        # Rows count downwards: counter-clockwise as one looks at it, like numpy.rot90.
        rows = [cos, sin, right - cos * x - sin * y, -sin, cos, down + sin * x - cos * y]
        return torch.stack(rows, dim=1).reshape(-1, 2, 3)


def _check(spec: DataSpec, fields: tuple[str, ...], scale: tuple[float, float]) -> None:
    problems = [f"affine: there is no field '{name}'" for name in fields if name not in spec]
    known = [spec[name] for name in fields if name in spec]
    problems += [f"affine: '{field.name}' {field.shape} has no pixels" for field in known if len(field.shape) < 2]
    if problems:
        raise UserError(*problems, hint=f"set fields to images among {', '.join(spec)}")
    if scale[0] > scale[1]:
        raise UserError(f"affine: the ends of scale [{scale[0]:g}, {scale[1]:g}] are swapped")
