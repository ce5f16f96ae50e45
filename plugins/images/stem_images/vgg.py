"""The convolutions of a VGG network, from a file of its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stemcore import UserError, missing_file

KEY = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")
WANTED = "the weights of a VGG network without batch normalisation, named features.0.weight and so on"


class Convolution(NamedTuple):
    """A 3x3 convolution and what comes before it.

    Attributes:
        weight: (outputs, inputs, 3, 3).
        bias: (outputs,).
        pooled: whether height and width are halved before it.
    """

    weight: Tensor
    bias: Tensor
    pooled: bool


class VggFeatures(nn.Module):
    """Feature maps of 3x3 convolutions with ReLU, between which height and width are halved by maxima (Simonyan and
    Zisserman, arXiv:1409.1556). Weights are buffers that are not saved: nothing of it is trained.

    Args:
        convolutions: the network's, from the first.
        layers: numbers (from 1) of the convolutions whose features are taken, after their ReLU.
    """

    def __init__(self, convolutions: Sequence[Convolution], layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.pooled = [convolution.pooled for convolution in convolutions[: max(layers)]]
        for number, convolution in enumerate(convolutions[: max(layers)]):
            self.register_buffer(f"weight_{number}", convolution.weight, persistent=False)
            self.register_buffer(f"bias_{number}", convolution.bias, persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features (n, c, h, w) of each of the layers, of images (n, inputs, h, w)."""
        found = []
        x = images
        for number, pooled in enumerate(self.pooled):
            x = functional.max_pool2d(x, 2) if pooled else x
            weight, bias = self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}")
            x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            if number + 1 in self.layers:
                found.append(x)
        return found


def read_vgg(path: Path) -> list[Convolution]:
    """The convolutions of a VGG network of any depth and width, from a file of ``torch.save``, of which only tensors
    are read. Layers are numbered as in torchvision: a gap of two between two convolutions is a ReLU, one of three a
    ReLU and a halving.

    Raises:
        UserError: if there is no such file, or it holds something else.
    """
    path = path.expanduser()
    if not path.is_file():
        raise missing_file(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files end in errors of many kinds
        raise UserError("it holds more or other than tensors", where=str(path), hint=f"right are {WANTED}") from error
    layers = _layers(stored) if isinstance(stored, Mapping) else {}
    numbers = sorted(layers)
    if not numbers or any(set(layers[n]) != {"weight", "bias"} for n in numbers) or not _chained(layers, numbers):
        raise UserError("it does not hold a chain of 3x3 convolutions", where=str(path), hint=f"right are {WANTED}")
    pooled = [False, *(after - before == 3 for before, after in pairwise(numbers))]
    return [
        Convolution(layers[n]["weight"].float(), layers[n]["bias"].float(), halved)
        for n, halved in zip(numbers, pooled, strict=True)
    ]


def ends_of_stages(convolutions: Sequence[Convolution]) -> list[int]:
    """Numbers (from 1) of the last convolutions before each halving."""
    return [number for number, convolution in enumerate(convolutions) if convolution.pooled] or [len(convolutions)]


def _layers(stored: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in stored.items():
        match = KEY.fullmatch(str(key))
        if match and isinstance(value, Tensor):
            found.setdefault(int(match[1]), {})[match[2]] = value
    return found


def _chained(layers: Mapping[int, Mapping[str, Tensor]], numbers: Sequence[int]) -> bool:
    weights = [layers[n]["weight"] for n in numbers]
    shaped = all(
        w.ndim == 4 and w.shape[2:] == (3, 3) and layers[n]["bias"].shape == w.shape[:1]
        for n, w in zip(numbers, weights, strict=True)
    )
    steps = all(after - before in (2, 3) for before, after in pairwise(numbers))
    return shaped and steps and all(a.shape[0] == b.shape[1] for a, b in pairwise(weights))
