"""What is in the file of latents, and how it is begun."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcore import FieldSpec, UserError

FORMAT = 1
CHUNK_BYTES = 128 << 10
"""Small enough that single items are cheap to read, large enough for disks."""
LATENTS, FIELDS, PROGRESS, SCALE = "latents", "fields", "progress", "scale_factor"
COMPANIONS = ("names", "parts", "groups")
_TEXT = h5py.string_dtype()


@dataclass(frozen=True)
class Contents:
    """What a store is to hold, all of it known before the first latent.

    Attributes:
        items: number of items.
        shape: of an item's latents.
        dtype: ``float32`` or ``float16``.
        identity: what a store that is gone on with must agree in: encoder, data, way of encoding.
        about: what else is worth knowing, such as where the run was.
        fields: what is copied beside the latents.
        companions: of every item its name, part or group, where the data have such.
        scan_shape: of the scan whose positions the items are, if there is one.
    """

    items: int
    shape: tuple[int, ...]
    dtype: str
    identity: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    companions: Mapping[str, np.ndarray | Sequence[str]] = field(default_factory=dict)
    scan_shape: tuple[int, ...] | None = None

    @property
    def signature(self) -> dict[str, Any]:
        """What tells one store from another, in types of JSON."""
        fields = {name: describe(spec) for name, spec in self.fields.items()}
        own = {"items": self.items, "shape": list(self.shape), "dtype": self.dtype, "fields": fields}
        plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **own, **self.identity}))
        return plain


def describe(spec: FieldSpec) -> dict[str, Any]:
    """A field in types of JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return plain


def described(text: str) -> FieldSpec:
    """What :func:`describe` gave, from text."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return FieldSpec(**plain)


def create(part: Path, contents: Contents) -> None:
    """Everything but values. It has its name once it is complete."""
    _check_space(part.parent, contents)
    fresh = part.with_name(f"{part.name}.{os.getpid()}")
    try:
        with h5py.File(fresh, "w") as file:
            file.attrs.update({"format": FORMAT, SCALE: math.nan, **contents.identity, **contents.about})
            file.attrs["signature"] = json.dumps(contents.signature)
            if contents.scan_shape is not None:
                file.attrs["scan_shape"] = contents.scan_shape
            _room(file, LATENTS, contents.items, contents.shape, np.dtype(contents.dtype))
            for name, spec in contents.fields.items():
                made = _room(file, f"{FIELDS}/{name}", contents.items, _whole(spec), kept_type(spec))
                made.attrs["spec"] = json.dumps(describe(spec))
            for name, values in contents.companions.items():
                text = name != "groups"
                file.create_dataset(name, data=list(values) if text else values, dtype=_TEXT if text else None)
            file.create_dataset(PROGRESS, data=np.zeros(4))
        os.replace(fresh, part)
    finally:
        fresh.unlink(missing_ok=True)


def _room(file: h5py.File, name: str, items: int, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """Room for values that are to come, taken at once: nothing but values is written later."""
    per_item = max(1, math.prod(shape) * dtype.itemsize)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    chunk = (max(1, min(items, CHUNK_BYTES // per_item)), *shape)
    return file.create_dataset(name, (items, *shape), dtype, chunks=chunk, dcpl=layout, fill_time="never")


def kept_type(spec: FieldSpec) -> np.dtype:
    """The type of a field in the file: numbers of few classes need no eight bytes a pixel."""
    few = spec.classes and spec.shape and len(spec.classes) <= np.iinfo(np.int16).max
    return np.dtype(np.int16 if few else spec.dtype)


def _whole(spec: FieldSpec) -> tuple[int, ...]:
    return tuple(n for n in spec.shape if n is not None)


def _check_space(folder: Path, contents: Contents) -> None:
    fields = sum(kept_type(s).itemsize * s.size for s in contents.fields.values())
    needed = contents.items * (np.dtype(contents.dtype).itemsize * math.prod(contents.shape) + fields)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"the store takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise UserError(message, where=str(folder), hint="make room, copy fewer --fields, or store float16")
