"""Names, shapes and units of the tensors in a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class FieldSpec:
    """One named tensor of a batch, or one output of a model.

    Attributes:
        name: the name by which losses, metrics and figures ask for it.
        shape: without the batch axis; ``None`` for an axis that varies. Images are (channel, height, width).
        dtype: NumPy name of the stored type, such as ``uint16``.
        unit: physical unit, such as ``counts``.
        like: the field whose geometry and space this one shares: a mask is ``like`` the input, so cropping the
            input crops it too; a prediction ``like`` the input can be taken back to physical units.
        scale, offset: stored values times ``scale`` plus ``offset`` are physical values.
        minimum: smallest valid physical value (0 for counts); ``None`` where any finite value is valid.
        finite: whether NaN and infinity are invalid.
        implicit_channel: the leading axis of one was added on reading, and files written leave it out.
        features: names of the values along the last axis, where they have any: the columns of a table.
        classes: names of the values of a label: 0 is the first, and so on; a negative value is none of them.
        source: of values that another run has made, such as latents: the SHA-256 of that run's checkpoint.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    unit: str | None = None
    like: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    minimum: float | None = None
    finite: bool = True
    implicit_channel: bool = False
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    source: str | None = None

    @property
    def size(self) -> int:
        """Values per item. Raises ``ValueError`` where an axis varies."""
        if any(n is None for n in self.shape):
            raise ValueError(f"field '{self.name}' has a varying shape {self.shape}")
        return math.prod(n for n in self.shape if n is not None)

    def with_shape(self, shape: Shape) -> FieldSpec:
        """The same field with another shape; names of features go where their number changes."""
        kept = self.features if shape and shape[-1] == len(self.features) else ()
        return replace(self, shape=shape, features=kept)


@dataclass(frozen=True)
class DataSpec(Mapping[str, FieldSpec]):
    """The fields of a batch, by name, after the transforms.

    Attributes:
        fields: the fields by name.
        scan_shape: shape of the scan over which items are laid out row by row, such as (64, 64), if there is one.
    """

    fields: Mapping[str, FieldSpec]
    scan_shape: tuple[int, ...] | None = None

    def __getitem__(self, name: str) -> FieldSpec:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def replacing(self, *specs: FieldSpec) -> DataSpec:
        """The same data with these fields added or replaced."""
        return replace(self, fields={**self.fields, **{s.name: s for s in specs}})


INPUT, TARGET, MASK = "input", "target", "mask"


def main_fields(names: Iterable[str]) -> list[str]:
    """The fields that models are given: ``input``, and of data with several of them all ``input_<name>``."""
    return [name for name in names if name == INPUT or name.startswith(f"{INPUT}_")]


def target_of(field: str) -> str:
    """What a model is to predict of a main field: ``target`` of ``input``, ``target_a`` of ``input_a``."""
    return TARGET + field[len(INPUT) :]


def mask_of(field: str) -> str:
    """Which values of a main field count: ``mask`` of ``input``, ``mask_a`` of ``input_a``."""
    return MASK + field[len(INPUT) :]
