"""An augmentation that takes whole bands away."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Augmentation, DataSpec, UserError


class BandDropout(Augmentation):
    """Replaces whole bands of each item (n, bands, h, w) by chance; the target keeps them. One band at least stays.

    Args:
        fields: the fields to change, each with bands of its own choice; by default the inputs.
        p: the chance for each band.
        fill: what takes a band's place: ``zero``, or ``mean``, the mean of the item's bands that stay, pixel by pixel.
        space: ``physical``: before the transforms; ``model``: after them, where zero may be the usual value.

    Raises:
        UserError: for an unknown field, or one without bands.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "corrupting"

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        p: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        fill: Literal["zero", "mean"] = "zero",
        space: Literal["physical", "model"] = "physical",
    ) -> None:
        super().__init__(spec, fields=fields)
        known = dict(spec) | ({"target": spec["input"]} if "input" in spec and "target" not in spec else {})
        problems = [f"band_dropout: there is no field '{name}'" for name in self.fields if name not in known]
        flat = [name for name in self.fields if name in known and len(known[name].shape) != 3]
        problems += [f"band_dropout: '{name}' {known[name].shape} is no cube (bands, height, width)" for name in flat]
        if problems:
            raise UserError(*problems, hint=f"set fields to some of {', '.join(known)}")
        self.p, self.fill, self.space = p, fill, space

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Changes the fields of a batch."""
        out = dict(batch)
        for name in self.fields:
            if name in batch:
                out[name] = self._without_some(batch[name], generator)
        return out

    def _without_some(self, x: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.rand(x.shape[:2], generator=generator, device=x.device)
        # The band with the largest number stays, whatever the chance.
        keep = ((drawn >= self.p) | (drawn == drawn.amax(dim=1, keepdim=True)))[:, :, None, None]
        if self.fill == "zero":
            return torch.where(keep, x, 0)
        mean = torch.where(keep, x, 0).sum(dim=1, keepdim=True) / keep.sum(dim=1, keepdim=True)
        return torch.where(keep, x, mean)
