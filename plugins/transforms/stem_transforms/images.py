"""What the transforms of pixel grids share: the two image axes of a field."""

from __future__ import annotations

from stemcore import FieldSpec, UserError


def image_size(spec: FieldSpec, who: str) -> tuple[int | None, int | None]:
    """Height and width of a field's images, ``None`` for one that varies.

    Raises:
        UserError: if the field is not an image; ``who`` is the component that needs one.
    """
    if len(spec.shape) < 2:
        raise UserError(
            f"{who} needs images (channel, height, width), and '{spec.name}' has the shape {spec.shape} per item"
        )
    return spec.shape[-2], spec.shape[-1]


def resized(spec: FieldSpec, height: int | None, width: int | None) -> FieldSpec:
    """The field with images of another size."""
    return spec.with_shape((*spec.shape[:-2], height, width))


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number for each of the two axes."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
