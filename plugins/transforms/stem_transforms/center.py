"""Centring of diffraction patterns on the detector."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.images import image_size
from stemcore import FieldSpec, Transform, UserError


class Center(Transform):
    """Shifts patterns so that their centre of mass lies in the middle of the detector, at ((h - 1) / 2, (w - 1) / 2).

    The centre of mass is weighted by intensity over all channels; negative values and, where there is one, pixels that
    the mask leaves out count as zero. Strong reflections pull it away from the direct beam; ``radius`` leaves them
    out. A pattern without intensity stays where it is. What comes in from beyond the edge is zero and invalid; what
    goes out is lost.

    Where every pattern has a shift of its own (``per: pattern`` without ``shift``), masks and other fields cannot be
    shifted without the pattern: ``together`` does all at once, and ``mask`` alone raises ``UserError``.

    Args:
        per: ``pattern`` shifts each pattern by its own centre of mass; ``scan`` shifts all alike, by the centre of mass
            of the sum of the training patterns, which is fitted.
        radius: only intensity within so many pixels of the detector's middle counts, such as that of the direct beam
            (its own radius and the descan to expect); by default all does.
        shift: rows and columns, in pixels, by which every pattern is shifted (positive: down and right) instead.
        integer: whether to shift by whole pixels (the nearest), which keeps counts as they are; otherwise values are
            interpolated bilinearly.

    Raises:
        UserError: for a shift that leaves nothing of the pattern, or that is not whole where ``integer`` is true.
    """

    kind: ClassVar[Literal["value", "geometry"]] = "geometry"
    shift: Tensor

    def __init__(
        self,
        spec: FieldSpec,
        *,
        per: Literal["pattern", "scan"] = "pattern",
        radius: Annotated[float, Field(gt=0)] | None = None,
        shift: tuple[float, float] | None = None,
        integer: bool = True,
    ) -> None:
        super().__init__(spec)
        self.integer = integer
        self.given = shift
        self.per = per
        self.radius = radius
        size = image_size(spec, "center")
        if shift is not None:
            self._check(shift, size)
        elif per == "scan":
            self.register_buffer("shift", torch.full((2,), nan))
            self._sums = torch.zeros(3, dtype=torch.float64, device="cpu")

    @property
    def fitted(self) -> bool:  # type: ignore[override]
        """Whether the shift is fitted: only where one is shared by the whole scan."""
        return self.given is None and self.per == "scan"

    def _check(self, shift: tuple[float, float], size: tuple[int | None, int | None]) -> None:
        if self.integer and any(s != round(s) for s in shift):
            raise UserError(f"center: the shift {list(shift)} is not whole pixels", hint="set integer: false")
        if any(n is not None and abs(s) >= n for s, n in zip(shift, size, strict=True)):
            raise UserError(
                f"center: the shift {list(shift)} leaves nothing of patterns of {size[0]} x {size[1]} pixels"
            )

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Adds a batch (n, ..., h, w) to the sum of the training patterns; nothing where no shift is fitted."""
        if self.fitted and x.numel():
            self._sums += torch.stack(_moments(x, mask, self.radius)).cpu().double().sum(dim=1)

    def finish(self) -> None:
        """Sets the shift of the scan. Raises ``UserError`` where the training patterns hold no intensity."""
        if not self.fitted:
            return
        total, row, column = self._sums.tolist()
        if not total > 0:
            raise UserError(f"center: the training patterns of '{self.spec.name}' hold no intensity to centre by")
        self.shift.copy_(torch.tensor([-row / total, -column / total]))

    def forward(self, x: Tensor) -> Tensor:
        """Shifts patterns (n, ..., h, w), all of whose pixels count."""
        return _shifted(x, self._shifts(x, None), self.integer)

    def mask(self, mask: Tensor) -> Tensor:
        """Shifts a mask (n, ..., h, w) by the shift that all patterns share.

        Raises:
            UserError: where each pattern has a shift of its own.
        """
        if self.given is None and not self.fitted:
            raise UserError(
                "center: a mask alone cannot follow patterns that are centred one by one",
                hint="set per: scan or a shift, or hand pattern and mask to 'together'",
            )
        return _shifted_mask(mask, self._shifts(mask, None), self.integer)

    def together(
        self, main: Tensor, others: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Shifts patterns, the fields that are like them, and masks, item by item alike.

        Args:
            main: the patterns (n, ..., h, w), by which all is centred.
            others: fields on the same pixels (n, ..., h, w); those of integers or truth values move by whole pixels.
            masks: masks on the same pixels (n, ..., h, w), bool; the one called ``mask`` says which pixels count.
        """
        shifts = self._shifts(main, masks.get("mask"))
        return (
            _shifted(main, shifts, self.integer),
            {name: _shifted(x, shifts, self.integer or not x.is_floating_point()) for name, x in others.items()},
            {name: _shifted_mask(m, shifts, self.integer) for name, m in masks.items()},
        )

    @torch.no_grad()
    def _shifts(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Rows and columns (n, 2) by which to shift each item."""
        if self.given is not None:
            return torch.tensor([self.given], dtype=torch.float32, device=x.device).expand(x.shape[0], 2)
        if self.fitted:
            return self.shift.expand(x.shape[0], 2)
        total, row, column = _moments(x, mask, self.radius)
        own = -torch.stack([row, column], dim=1) / total[:, None]
        return torch.where(total[:, None] > 0, own, 0)


def _moments(x: Tensor, mask: Tensor | None, radius: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sum of each item's intensity, and its first moments along rows and columns about the detector's middle."""
    weight = x if mask is None else torch.where(mask, x, 0)
    weight = weight.clamp(min=0).reshape(x.shape[0], -1, *x.shape[-2:]).sum(dim=1)
    down, across = (torch.arange(n, dtype=x.dtype, device=x.device) - (n - 1) / 2 for n in weight.shape[1:])
    if radius is not None:
        weight = torch.where(down[:, None] ** 2 + across**2 <= radius**2, weight, 0)
    rows, columns = weight.sum(dim=2), weight.sum(dim=1)
    return rows.sum(dim=1), rows @ down, columns @ across


def _shifted(x: Tensor, shifts: Tensor, integer: bool) -> Tensor:
    """Items (n, ..., h, w) shifted by (n, 2) pixels, along rows and then columns."""
    for axis, shift in zip((-2, -1), shifts.unbind(dim=1), strict=True):
        if integer:
            x = _moved(x, shift.round().long(), axis)
            continue
        whole = shift.floor()
        near = (shift - whole).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        x = (1 - near) * _moved(x, whole.long(), axis) + near * _moved(x, whole.long() + 1, axis)
    return x


def _shifted_mask(mask: Tensor, shifts: Tensor, integer: bool) -> Tensor:
    """A pixel is valid where all that contribute to it are."""
    for axis, shift in zip((-2, -1), shifts.unbind(dim=1), strict=True):
        if integer:
            mask = _moved(mask, shift.round().long(), axis)
            continue
        whole = shift.floor()
        alone = (shift == whole).reshape(-1, *[1] * (mask.ndim - 1))
        mask = _moved(mask, whole.long(), axis) & (alone | _moved(mask, whole.long() + 1, axis))
    return mask


def _moved(x: Tensor, by: Tensor, axis: int) -> Tensor:
    """Items (n, ...) moved along an axis by a whole number of pixels each; zeros come in."""
    length = x.shape[axis]
    along = [1] * x.ndim
    along[0], along[axis] = x.shape[0], length
    source = torch.arange(length, device=x.device) - by[:, None]
    inside = ((source >= 0) & (source < length)).reshape(along)
    moved = x.gather(axis, source.clamp(0, length - 1).reshape(along).expand(x.shape))
    return torch.where(inside, moved, torch.zeros((), dtype=x.dtype, device=x.device))
