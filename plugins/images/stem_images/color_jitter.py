"""An augmentation of brightness, contrast and saturation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_images.fitting import LUMA
from stemcore import Augmentation, DataSpec, UserError

Part = Annotated[float, Field(ge=0, le=1)]


class ColorJitter(Augmentation):
    """Changes brightness, contrast and saturation of each image, one after the other, by factors drawn for it.

    With black at 0 and white at 1, x becomes f x (brightness), then g + f (x - g) with the mean grey g of the image
    (contrast), then y + f (x - y) with the grey y of each pixel (saturation; images of three channels alone). Each
    factor f is drawn evenly from 1 - s to 1 + s, s being what is set here; what leaves black and white is clipped to
    them. All fields of an item get the same factors: by default the target has the changed colours, too, as an image of
    its own would; with ``fields: [input]`` a model learns to undo them.

    Args:
        fields: the fields to change, each (n, channels, height, width); by default the input and the target.
        brightness: how far its factor may be from 1.
        contrast: how far its factor may be from 1.
        saturation: how far its factor may be from 1.
        range: physical values of black and white.
        p: the chance for an item to be changed at all.

    Raises:
        UserError: for a field that is unknown or no image, saturation of images without three channels, swapped ends of
            the range, or where nothing would change.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "corrupting"

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        brightness: Part = 0.0,
        contrast: Part = 0.0,
        saturation: Part = 0.0,
        range: tuple[float, float] = (-1.0, 1.0),
        p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ) -> None:
        super().__init__(spec, fields=("input", "target") if fields is None else fields)
        if not brightness and not contrast and not saturation:
            raise UserError("color_jitter: nothing would change", hint="set brightness, contrast or saturation")
        if range[0] >= range[1]:
            raise UserError(f"color_jitter: the ends of range [{range[0]:g}, {range[1]:g}] are swapped")
        _check(spec, self.fields, colours=saturation > 0)
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.black, self.white, self.p = range[0], range[1], p

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Changes the images of a batch."""
        out = dict(batch)
        names = [name for name in self.fields if name in batch]
        if not names:
            return out
        first = batch[names[0]]
        drawn = torch.rand(first.shape[0], 4, generator=generator, device=first.device)
        for name in names:
            out[name] = self._changed(batch[name], drawn)
        return out

    def _changed(self, stored: Tensor, drawn: Tensor) -> Tensor:
        """Images (n, c, h, w), changed by drawn numbers (n, 4) from 0 to 1."""
        x = stored if stored.is_floating_point() else stored.float()
        whole = x = (x - self.black) / (self.white - self.black)
        factor = (2 * drawn.to(x.dtype) - 1).reshape(-1, 4, 1, 1, 1)
        if self.brightness:
            x = (x * (1 + self.brightness * factor[:, 0])).clamp(0, 1)
        if self.contrast:
            mean = _grey(x).mean(dim=(-2, -1), keepdim=True)
            x = (mean + (1 + self.contrast * factor[:, 1]) * (x - mean)).clamp(0, 1)
        if self.saturation:
            grey = _grey(x)
            x = (grey + (1 + self.saturation * factor[:, 2]) * (x - grey)).clamp(0, 1)
        chosen = drawn[:, 3].reshape(-1, 1, 1, 1) < self.p
        return torch.where(chosen, x * (self.white - self.black) + self.black, stored.to(whole.dtype))


def _grey(x: Tensor) -> Tensor:
    """The grey of each pixel (n, 1, h, w): of three channels by the eye's sensitivity, else their mean."""
    if x.shape[1] != 3:
        return x.mean(dim=1, keepdim=True)
    return (x * x.new_tensor(LUMA).reshape(3, 1, 1)).sum(dim=1, keepdim=True)


def _check(spec: DataSpec, fields: tuple[str, ...], *, colours: bool) -> None:
    images = {name: spec.get("input" if name == "target" else name) for name in fields}
    unknown = [f"color_jitter: there is no field '{name}'" for name, field in images.items() if field is None]
    known = [field for field in images.values() if field is not None]
    unknown += [f"color_jitter: '{f.name}' {f.shape} is no image" for f in known if len(f.shape) != 3 or f.classes]
    if unknown:
        raise UserError(*unknown, hint=f"set fields to images among {', '.join(spec)}")
    for field in known:
        if colours and field.shape[0] != 3:
            hint = "leave saturation out"
            raise UserError(f"color_jitter: '{field.name}' has {field.shape[0]} channels, no colours", hint=hint)
