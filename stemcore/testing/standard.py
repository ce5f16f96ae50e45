"""Tensors under the standard names: small, smooth and deterministic, with items that differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemcore.assemble.wiring import SPECIAL, signature_of
from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.data.chain import Chain, Values
from stemcore.testing.promises import NotApplicable
from stemcore.testing.standard_model import standard_model

ITEMS = 8
LATENT = 6


def image_spec(height: int = 16, width: int = 16) -> DataSpec:
    """Images in counts, with a mask that is like them."""
    shape = (1, height, width)
    fields = (
        FieldSpec("input", shape, "float32", unit="counts", minimum=0.0),
        FieldSpec("mask", shape, "bool", like="input"),
    )
    return DataSpec({field.name: field for field in fields}, scan_shape=(2, ITEMS // 2))


def patterns(items: int, shape: tuple[int, ...], start: float = 0.0) -> Tensor:
    """Positive float32 fields of any shape (items, *shape): spots on a slope, in other places in every item."""
    axes = (torch.linspace(-1, 1, n) if n > 1 else torch.zeros(n) for n in shape)
    grid = torch.meshgrid(*axes, indexing="ij") if shape else ()
    slope = sum((0.3 * (k + 1) * axis for k, axis in enumerate(grid)), torch.zeros(shape)) / (1 + len(shape))
    made = []
    for i in range(items):
        phase = start + 0.7 * i
        apart = ((axis - 0.5 * math.sin(phase + k)) ** 2 for k, axis in enumerate(grid))
        spot = torch.exp(-4 * sum(apart, torch.zeros(shape)))
        made.append(1.5 + slope + (3 + 0.5 * math.sin(phase)) * spot)
    return torch.stack(made) if made else torch.zeros(0, *shape)


def rows(items: int, width: int, start: float = 0.0) -> Tensor:
    """Vectors (items, width) that differ in direction and length."""
    i, k = torch.meshgrid(torch.arange(items), torch.arange(width), indexing="ij")
    return torch.sin(start + 1.3 * i + 0.9 * k * (1 + 0.1 * i)) * (1 + 0.1 * i)


def field_values(spec: FieldSpec, items: int) -> Tensor:
    """Values for a field of any shape and type.

    Raises:
        NotApplicable: if its shape varies.
    """
    if any(n is None for n in spec.shape):
        raise NotApplicable(f"field '{spec.name}' has a varying shape {spec.shape}: its tensors must be given")
    shape = tuple(n for n in spec.shape if n is not None)
    if spec.dtype == "bool":
        return patterns(items, shape) > 1.6
    values = patterns(items, shape)
    return values if "float" in spec.dtype else values.round().to(getattr(torch, spec.dtype, torch.int64))


def standard_tensors(items: int = ITEMS, spec: DataSpec | None = None) -> dict[str, Tensor]:
    """What the standard names stand for: input, target and prediction as images (or as ``spec`` says), latents, and so
    on."""
    spec = spec or image_spec()
    made = {name: field_values(field, items) for name, field in spec.items() if None not in field.shape}
    if "input" in made:
        made["target"] = made["input"].clone()
        made["prediction"] = 0.8 * made["input"] + 0.3 * patterns(items, tuple(made["input"].shape[1:]), 2.0)
        made["hidden"] = patterns(items, tuple(made["input"].shape[1:]), 1.0) > 2.0
    return {
        **made,
        "latent": rows(items, LATENT),
        "mu": rows(items, LATENT, 0.4),
        "logvar": 0.5 * rows(items, LATENT, 0.8),
        "label": torch.arange(items) % 3,
        "index": torch.arange(items),
    }


def special(spec: DataSpec | None = None) -> dict[str, Any]:
    """What a component may name besides tensors."""
    spec = spec or image_spec()
    transforms = Values(Chain(spec["input"])) if "input" in spec else None
    model = standard_model(spec, LATENT)
    return {"model": model, "transforms": transforms, "progress": 0.5, "spec": spec, "history": HISTORY}


HISTORY = [
    {
        "epoch": float(e),
        "train/loss": 1.0 / e,
        "val/loss": 1.1 / e,
        "train/term": 0.9 / e,
        "val/term": 1.0 / e,
        "lr": 1e-3,
    }
    for e in range(1, 6)
]
"""The scalars of five epochs."""


def arguments_of(
    call: Callable[..., Any],
    own: Mapping[str, Any],
    spec: DataSpec | None = None,
    items: int = ITEMS,
    inputs: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for ``forward`` of a loss, ``update`` of a metric or ``draw`` of a figure: its example's
    tensors, then the standard ones, in the shape of the example's. An optional one that is neither is left out.

    Args:
        call: what is to be called.
        own: the example's tensors.
        spec: of the standard tensors; by default images like those of the example.
        items: number of standard items.
        inputs: the component's own renaming, ``{parameter: name@space}``.

    Raises:
        NotApplicable: if it asks for a name that is not a standard one and has no example.
    """
    spec = spec or _spec_like(own)
    standard = {**standard_tensors(items, spec), **special(spec)}
    given: dict[str, Any] = {}
    for name, optional in signature_of(call).items():
        source = (inputs or {}).get(name, name).partition("@")[0]
        if name in own or source in own:
            value = own[name] if name in own else own[source]
            given[name] = torch.as_tensor(value) if isinstance(value, np.ndarray) else value
        elif source in standard and (source in SPECIAL or _fits(standard[source], own)):
            given[name] = standard[source]
        elif not optional:
            raise NotApplicable(f"it asks for '{source}', which has no standard meaning: give an example of it")
    return given


def _spec_like(own: Mapping[str, Any]) -> DataSpec:
    """Images, in the shape of an example's where it gives some."""
    images = image_spec()
    given = (own[name] for name in ("input", "target", "prediction") if name in own)
    shape = next((tuple(value.shape[1:]) for value in given if value.ndim > 1), None)
    return images if shape is None else images.replacing(*(f.with_shape(shape) for f in images.values()))


def _fits(standard: Tensor, own: Mapping[str, Any]) -> bool:
    """Whether a standard tensor has as many items as those of an example, beside which it is to stand."""
    return all(len(value) == len(standard) for value in own.values() if isinstance(value, (Tensor, np.ndarray)))
