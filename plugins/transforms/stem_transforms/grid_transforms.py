"""Geometry transforms that change the number of pixels: crop, bin, resize."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from stem_transforms.images import both, image_size, resized
from stemcore import FieldSpec, Transform, UserError

Pixels = Annotated[int, Field(gt=0)]
Position = Annotated[int, Field(ge=0)]


class Crop(Transform):
    """A window of the detector: (n, c, h, w) to (n, c, *size).

    Args:
        size: height and width of the window in pixels; one number for a square.
        offset: row and column of its first pixel; by default the window is central, at ((h - height) // 2,
            (w - width) // 2).

    Raises:
        UserError: where the window does not lie within the images.
    """

    kind: ClassVar[Literal["value", "geometry"]] = "geometry"

    def __init__(
        self,
        spec: FieldSpec,
        *,
        size: Pixels | tuple[Pixels, Pixels],
        offset: tuple[Position, Position] | None = None,
    ) -> None:
        super().__init__(spec)
        self.size = both(size)
        self.offset = offset
        height, width = image_size(spec, "crop")
        # An axis whose length varies is checked batch by batch; here it passes as just long enough.
        least = [s + o for s, o in zip(self.size, offset or (0, 0), strict=True)]
        self._window(least[0] if height is None else height, least[1] if width is None else width)

    def _window(self, height: int, width: int) -> tuple[slice, slice]:
        (h, w), offset = self.size, self.offset
        top, left = ((height - h) // 2, (width - w) // 2) if offset is None else offset
        if h > height or w > width or top + h > height or left + w > width:
            place = "" if offset is None else f" at offset {list(offset)}"
            raise UserError(
                f"crop: a window of {h} x {w} pixels{place} does not lie within the {height} x {width} pixels"
                f" of '{self.spec.name}'"
            )
        return slice(top, top + h), slice(left, left + w)

    def out_spec(self) -> FieldSpec:
        """The field with images of the window's size."""
        return resized(self.spec, *self.size)

    def forward(self, x: Tensor) -> Tensor:
        """The window of (n, ..., h, w)."""
        rows, columns = self._window(x.shape[-2], x.shape[-1])
        return x[..., rows, columns]

    def mask(self, mask: Tensor) -> Tensor:
        """The window of a mask (n, ..., h, w)."""
        return self.forward(mask)


class Bin(Transform):
    """Sums of blocks of pixels: (n, c, h, w) to (n, c, h / fy, w / fx).

    Sums of whole counts are exact up to 2^24 in float32, and sums of Poisson counts are Poisson counts. A block with an
    invalid pixel is invalid.

    Args:
        factor: height and width of a block in pixels; one number for square blocks.
        crop_remainder: whether sides that are no multiple of the factor lose the rest, half of it at either edge (the
            larger half at the end); otherwise such sides are an error.

    Raises:
        UserError: where the images are smaller than a block, or no whole number of blocks.
    """

    kind: ClassVar[Literal["value", "geometry"]] = "geometry"

    def __init__(
        self,
        spec: FieldSpec,
        *,
        factor: Pixels | tuple[Pixels, Pixels] = 2,
        crop_remainder: bool = False,
    ) -> None:
        super().__init__(spec)
        self.factor = both(factor)
        self.crop_remainder = crop_remainder
        self._binned = [None if n is None else self._blocks(n, axis) for axis, n in enumerate(image_size(spec, "bin"))]

    def _blocks(self, length: int, axis: int) -> int:
        f = self.factor[axis]
        rest = length % f
        who = f"bin: the {('height', 'width')[axis]} of '{self.spec.name}', {length} pixels,"
        if length < f:
            raise UserError(f"{who} is less than the factor {f}")
        if rest and not self.crop_remainder:
            raise UserError(
                f"{who} is no multiple of the factor {f}",
                hint=f"set crop_remainder: true to leave {rest} of them out",
            )
        return length // f

    def _whole(self, x: Tensor) -> Tensor:
        """The central part of (n, ..., h, w) that is whole blocks."""
        for axis, f in zip((-2, -1), self.factor, strict=True):
            kept = self._blocks(x.shape[axis], axis + 2) * f
            x = x.narrow(axis, (x.shape[axis] - kept) // 2, kept)
        return x

    def _split(self, x: Tensor) -> Tensor:
        """Whole blocks (..., h, w) as (..., h / fy, fy, w / fx, fx)."""
        (fy, fx), (h, w) = self.factor, x.shape[-2:]
        return x.reshape(*x.shape[:-2], h // fy, fy, w // fx, fx)

    def out_spec(self) -> FieldSpec:
        """The field with images of blocks; a sum's smallest valid value is that of all its pixels together."""
        spec = resized(self.spec, self._binned[0], self._binned[1])
        if spec.minimum is None:
            return spec
        return replace(spec, minimum=spec.minimum * self.factor[0] * self.factor[1])

    def forward(self, x: Tensor) -> Tensor:
        """Block sums of (n, ..., h, w)."""
        x = self._whole(x)
        if not x.is_floating_point():
            return self._split(x).sum(dim=(-3, -1))
        # Pooling with a divisor of one adds up as exactly as sum does, at two to three times the speed.
        images = x.reshape(x.shape[0], -1, *x.shape[-2:])
        sums = F.avg_pool2d(images, self.factor, divisor_override=1)
        return sums.reshape(*x.shape[:-2], *sums.shape[-2:])

    def mask(self, mask: Tensor) -> Tensor:
        """Blocks (n, ..., h / fy, w / fx) all of whose pixels are valid."""
        return self._split(self._whole(mask)).all(dim=-1).all(dim=-2)


class Resize(Transform):
    """Another number of pixels by bilinear interpolation, antialiased when shrinking: (n, c, h, w) to (n, c, *size).

    A flat image stays flat. A pixel to which an invalid one contributes is invalid. Fields of integers or truth values
    (labels) are taken from the nearest pixel.

    Args:
        size: height and width in pixels; one number for a square.
        preserve_sum: whether values are scaled by the ratio of pixel areas, so that the sum over an image is kept (up
            to the interpolation's error) rather than the value of a flat one. Not for labels.
    """

    kind: ClassVar[Literal["value", "geometry"]] = "geometry"

    def __init__(self, spec: FieldSpec, *, size: Pixels | tuple[Pixels, Pixels], preserve_sum: bool = False) -> None:
        super().__init__(spec)
        image_size(spec, "resize")
        self.size = both(size)
        self.preserve_sum = preserve_sum

    def out_spec(self) -> FieldSpec:
        """The field with images of the new size."""
        return resized(self.spec, *self.size)

    def forward(self, x: Tensor) -> Tensor:
        """Interpolates (n, ..., h, w)."""
        if not x.is_floating_point():
            rows, columns = (_nearest(n, s, x.device) for n, s in zip(x.shape[-2:], self.size, strict=True))
            return x[..., rows[:, None], columns]
        y = self._interpolated(x)
        if not self.preserve_sum:
            return y
        return y * (x.shape[-2] * x.shape[-1] / (self.size[0] * self.size[1]))

    def _interpolated(self, x: Tensor) -> Tensor:
        images = x.reshape(x.shape[0], -1, *x.shape[-2:])
        y = F.interpolate(images, size=self.size, mode="bilinear", antialias=True, align_corners=False)
        return y.reshape(*x.shape[:-2], *self.size)

    def mask(self, mask: Tensor) -> Tensor:
        """Pixels (n, ..., *size) to which no invalid one contributes."""
        return self._interpolated((~mask).to(torch.float32)) < 1e-6


def _nearest(length: int, size: int, device: torch.device) -> Tensor:
    """For each of ``size`` pixels, the one of ``length`` that its middle lies in."""
    return ((2 * torch.arange(size, device=device) + 1) * length).div(2 * size, rounding_mode="floor")
