"""What a ControlNet is given beside the item, brought to the item's grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from stem_diffusion.conditions import Given
from stem_diffusion.fusion import zeroed
from stemcore import DataSpec, FieldSpec, UserError

Control = Literal["condition", "label_map", "vector"]
IMAGES: tuple[Control, ...] = ("condition", "label_map")


class Hints(nn.Module):
    """Controls as features that are added to the first ones of an item, (n, channels, H, W), and as a vector that is
    added to its embedding, (n, width). Both begin with zeros.

    An image is halved by strided convolutions for as long as it is larger than the item, then interpolated to its size;
    classes of a label map are channels, places of no class are zero in all of them.

    Args:
        spec: the fields after the transforms.
        names: which of them are controls.
        first: channels of the first features of an item.
        width: of its embedding.
        hidden: channels of the image of a control at its own size; twice as many after each halving, up to ``first``.

    Raises:
        UserError: for a control that the data lack, or a label map whose classes they do not name.
    """

    def __init__(self, spec: DataSpec, names: Sequence[Control], first: int, width: int, hidden: int) -> None:
        super().__init__()
        self.size = tuple(int(s or 0) for s in spec["input"].shape[1:])
        self.names = tuple(names)
        self.classes = 0
        self.image = nn.ModuleDict()
        for name in names:
            field = _field(spec, name)
            if name == "vector":
                hid = nn.Linear(field.size, width)
                self.vector = nn.Sequential(hid, nn.SiLU(), zeroed(nn.Linear(width, width)))
                continue
            planes = int(field.shape[0] or 0)
            if name == "label_map":
                self.classes = planes = _classes(field)
            halvings = _halvings(field, self.size)
            self.image[name] = _image_network(planes, first, hidden, halvings)

    def features(self, given: Given) -> Tensor | None:
        """What images among the controls add to the first features; ``None`` if there are none among them."""
        parts = []
        for name, network in self.image.items():
            image = given.get(name)
            if image is None:
                continue
            found = network(self._planes(image) if name == "label_map" else image.float())
            if tuple(found.shape[-2:]) != self.size:
                found = nn.functional.interpolate(found, self.size, mode="bilinear", align_corners=False)
            parts.append(found)
        return sum(parts[1:], parts[0]) if parts else None

    def embedding(self, given: Given) -> Tensor | None:
        """What a vector among the controls adds to the embedding; ``None`` without one."""
        vector = given.get("vector") if "vector" in self.names else None
        if vector is None:
            return None
        found: Tensor = self.vector(vector.float())
        return found

    def _planes(self, label_map: Tensor) -> Tensor:
        """A label map (n, 1, H, W) as a plane for each class, (n, classes, H, W)."""
        numbers = torch.arange(self.classes, device=label_map.device).reshape(1, -1, 1, 1)
        return (label_map == numbers).float()


def _image_network(planes: int, first: int, hidden: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(planes, hidden, 3, padding=1), nn.SiLU()]
    have = hidden
    for _ in range(halvings):
        more = min(2 * have, max(first, hidden))
        layers += [nn.Conv2d(have, more, 3, stride=2, padding=1), nn.SiLU()]
        layers += [nn.Conv2d(more, more, 3, padding=1), nn.SiLU()]
        have = more
    return nn.Sequential(*layers, zeroed(nn.Conv2d(have, first, 3, padding=1)))


def _field(spec: DataSpec, name: str) -> FieldSpec:
    if name not in spec:
        raise UserError(f"the data have no field '{name}' for model.control", hint=f"they have {', '.join(spec)}")
    field = spec[name]
    if None in field.shape or (name in IMAGES and len(field.shape) != 3):
        raise UserError(f"'{name}' cannot be a control: its shape is {field.shape}")
    return field


def _classes(field: FieldSpec) -> int:
    if not field.classes:
        message = "the data do not name the classes of 'label_map'"
        raise UserError(message, hint="name them by data.train.mask_classes where the images are read")
    return len(field.classes)


def _halvings(field: FieldSpec, size: Sequence[int]) -> int:
    """How often an image is halved until it is no larger than an item."""
    ratio = min(int(have or 1) / want for have, want in zip(field.shape[1:], size, strict=True))
    return max(0, round(math.log2(ratio)))
