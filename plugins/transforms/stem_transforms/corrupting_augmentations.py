"""Augmentations that add noise."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_transforms.named_fields import check_known
from stemcore import Augmentation, DataSpec, FieldSpec, UserError

Fraction = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Poisson(Augmentation):
    """Counts of a lower dose, new counting noise, or two independent halves of the counts.

    - ``thin``: each electron is kept with the chance ``fraction``, x' ~ Binomial(x, fraction). Of Poisson counts of
      mean m this makes Poisson counts of mean fraction * m, exactly.
    - ``renoise``: x' ~ Poisson(max(x, 0) * scale) / scale, for data that are noise-free or nearly so.
    - ``split``: the input keeps the thinned counts and the target gets the rest, x - x'. For Poisson counts the two are
      independent, so that a network which predicts one from the other learns to denoise (Noise2Noise, Lehtinen et al.
      2018) without clean data.

    Args:
        fields: the fields to change, each with noise of its own; by default the input, and for ``split`` the input and
            the target.
        mode: which of the three.
        fraction: part of the electrons that is kept in ``thin`` and ``split``, or [least, most] to draw it for each
            item.
        rescale: whether to divide the thinned counts by the fraction (and the rest of ``split`` by one minus it), so
            that the mean stays what it was.
        scale: electrons per unit of the data, for ``renoise``.

    Raises:
        UserError: for an unknown field, a range whose ends are swapped, a ``split`` that keeps everything, or other
            fields for ``split`` than input and target; in ``thin`` and ``split`` also for data that are not whole
            counts (looked at only where the field's stored type leaves that open).
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "corrupting"

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        mode: Literal["thin", "renoise", "split"] = "thin",
        fraction: Fraction | tuple[Fraction, Fraction] = 0.5,
        rescale: bool = True,
        scale: Positive = 1.0,
    ) -> None:
        if fields is None and mode == "split":
            fields = ("input", "target")
        super().__init__(spec, fields=fields)
        check_known(spec, self.fields, "poisson", bound="target")
        self.mode = mode
        self.low, self.high = (fraction, fraction) if isinstance(fraction, (int, float)) else fraction
        self.rescale = rescale
        self.scale = scale
        if self.low > self.high:
            raise UserError(f"poisson: the fraction's range [{self.low:g}, {self.high:g}] has its ends swapped")
        if mode == "split" and self.high == 1:
            raise UserError("poisson: a split needs a fraction below 1, or nothing is left for the target")
        if mode == "split" and set(self.fields) != {"input", "target"}:
            raise UserError(f"poisson: a split is of input and target, not of {', '.join(self.fields)}")

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Changes the fields of a batch, each (n, *shape), in physical units. A split reads the input alone."""
        if self.mode == "split":
            kept, rest = self._thinned("input", batch["input"], generator)
            return {**batch, "input": kept, "target": rest}
        out = dict(batch)
        for name in self.fields:
            if name in batch and self.mode == "renoise":
                out[name] = torch.poisson(_floating(batch[name]).clamp(min=0) * self.scale, generator) / self.scale
            elif name in batch:
                out[name] = self._thinned(name, batch[name], generator)[0]
        return out

    def _thinned(self, name: str, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The counts that are kept and the rest, each brought back to the mean of the whole where that is asked for."""
        counts = _floating(x)
        if not _whole_by_spec(_field(self.spec, name)) and not torch.equal(counts, counts.round()):
            raise UserError(
                f"poisson: mode {self.mode} needs whole counts, and '{name}' holds other values",
                hint="mode renoise takes any values",
            )
        drawn = torch.rand(x.shape[0], generator=generator, device=x.device, dtype=counts.dtype)
        fraction = (self.low + (self.high - self.low) * drawn).reshape(-1, *[1] * (x.ndim - 1))
        kept = torch.binomial(counts, fraction.expand_as(counts), generator=generator)
        rest = counts - kept
        return (kept / fraction, rest / (1 - fraction)) if self.rescale else (kept, rest)


class Noise(Augmentation):
    """Gaussian noise of a fixed standard deviation, added to every value.

    Args:
        fields: the fields to change, each with noise of its own; by default the inputs alone.
        std: the standard deviation, in the data's physical units, or in those of the model's space.
        clip: whether results below the smallest valid value of a field (zero for counts) are set to it, so that
            transforms which need such values stay defined. Fields without one are never clipped, nor is anything in
            the model's space.
        space: ``physical``: before the transforms; ``model``: after them, so that a ``std`` of 0.4 after ``zscore`` is
            0.4 standard deviations of each feature.

    Raises:
        UserError: where a field is unknown.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "corrupting"

    def __init__(
        self,
        spec: DataSpec,
        *,
        fields: tuple[str, ...] | None = None,
        std: Positive,
        clip: bool = True,
        space: Literal["physical", "model"] = "physical",
    ) -> None:
        super().__init__(spec, fields=fields)
        check_known(spec, self.fields, "noise", bound="target")
        self.std = std
        self.clip = clip
        self.space = space

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Adds noise to the fields of a batch, each (n, *shape)."""
        out = dict(batch)
        for name in self.fields:
            if name not in batch:
                continue
            x = _floating(batch[name])
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            field = _field(self.spec, name) if self.clip and self.space == "physical" else None
            least = field.minimum if field is not None else None
            out[name] = (x + self.std * noise).clamp(min=least) if least is not None else x + self.std * noise
        return out


def _floating(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.float()


def _field(spec: DataSpec, name: str) -> FieldSpec | None:
    """What is known of a field; the target is bound to the input unless the data set has one of its own."""
    return spec.get(name) or (spec.get("input") if name == "target" else None)


def _whole_by_spec(field: FieldSpec | None) -> bool:
    """Whether the stored type alone makes sure of whole numbers, so that no batch need be looked through."""
    return field is not None and "int" in field.dtype and field.scale == 1 and field.offset == int(field.offset)
