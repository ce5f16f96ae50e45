"""Stored values as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from stemcore.component.dataset import Dataset
from stemcore.component.fields import FieldSpec

Batch = dict[str, Tensor]
INDEX = "index"

_WIDER = {np.dtype(np.uint32): np.dtype(np.int64), np.dtype(np.uint64): np.dtype(np.int64)}


def held_type(dtype: np.dtype | str) -> np.dtype:
    """The type in which values of a stored type travel: their own, but int64 for unsigned 32 and 64 bit integers, which
    few kernels take."""
    return _WIDER.get(np.dtype(dtype), np.dtype(dtype))


def to_tensors(rows: Mapping[str, np.ndarray]) -> Batch:
    """Arrays as tensors of the type in which they travel."""
    held = {name: np.ascontiguousarray(array, held_type(array.dtype)) for name, array in rows.items()}
    return {name: torch.from_numpy(array) for name, array in held.items()}


def item_bytes(dataset: Dataset) -> int:
    """Bytes of an item as stored."""
    return max(1, sum(bytes_of(spec) for spec in dataset.fields.values()))


def lengths(spec: FieldSpec) -> tuple[int, ...]:
    """The shape of an item's values of a field. Raises ``ValueError`` where an axis varies."""
    if None in spec.shape:
        raise ValueError(f"field '{spec.name}' has a varying shape {spec.shape}")
    return tuple(n for n in spec.shape if n is not None)


def bytes_of(spec: FieldSpec) -> int:
    """Bytes of one item's values of a field, in the type in which they travel."""
    return int(spec.size * held_type(spec.dtype).itemsize)
