"""Which heads an autoencoder has, and what each gives, by the fields of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from stemcore import DataSpec, FieldSpec, UserError

Head = Literal["rgb", "segmentation", "classification"]


class Heads(NamedTuple):
    """What is predicted.

    Attributes:
        rgb: whether the image is.
        segmentation: number of classes of pixels; 0 for none.
        classification: number of classes of images; 0 for none.
        regression: the fields whose values are predicted.
    """

    rgb: bool
    segmentation: int
    classification: int
    regression: tuple[FieldSpec, ...]


def image_shape(spec: DataSpec) -> tuple[int, int, int]:
    """Channels, height and width of the input.

    Raises:
        UserError: if it is no image of a fixed size.
    """
    if "input" not in spec:
        raise UserError("the model needs a field 'input'", hint=f"the data set has {', '.join(spec)}")
    shape = spec["input"].shape
    if len(shape) != 3 or any(n is None for n in shape):
        raise UserError(
            f"the model takes images (channel, height, width) of one size, the input is {shape}",
            hint="crop or resize them",
        )
    channels, height, width = (n for n in shape if n is not None)
    return channels, height, width


def heads_of(
    spec: DataSpec,
    asked: Sequence[Head] | None,
    segmentation_classes: int | None,
    classes: int | None,
    regression: Sequence[str],
) -> Heads:
    """The heads that are asked for; where nothing is, one for each field that the data have.

    Raises:
        UserError: if a number of classes is known from nowhere, a field is missing, or nothing is left to predict.
    """
    pixels = segmentation_classes or _classes(spec, "label_map")
    items = classes or _classes(spec, "label")
    if asked is not None:
        _check(asked, {"segmentation": pixels, "classification": items})
        pixels, items = pixels * ("segmentation" in asked), items * ("classification" in asked)
    fields = tuple(_regressed(spec, name) for name in regression)
    heads = Heads(asked is None or "rgb" in asked, pixels, items, fields)
    if not any(heads):
        raise UserError("the model has no heads", hint="heads has rgb, segmentation or classification")
    return heads


def _classes(spec: DataSpec, field: str) -> int:
    return len(spec[field].classes) if field in spec else 0


def _check(asked: Sequence[Head], known: dict[str, int]) -> None:
    key = {"segmentation": ("segmentation_classes", "label_map"), "classification": ("classes", "label")}
    for head in asked:
        if head in known and not known[head]:
            parameter, field = key[head]
            raise UserError(
                f"the number of classes of the head {head} is not known: no field '{field}' says it",
                hint=f"give {parameter}, or data with classes of {field}",
            )


def _regressed(spec: DataSpec, name: str) -> FieldSpec:
    if name not in spec or name == "input":
        raise UserError(f"there is no field '{name}' to regress on", hint=f"the data set has {', '.join(spec)}")
    field, image = spec[name], spec["input"].shape
    if (
        None in field.shape
        or len(field.shape) not in (0, 1, 3)
        or (len(field.shape) == 3 and field.shape[1:] != image[1:])
    ):
        raise UserError(
            f"field '{name}' of shape {field.shape} cannot be regressed on",
            hint=f"it is a number, a vector, or an image as large as the input {image}",
        )
    return field
