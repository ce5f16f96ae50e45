"""Memory for batches, used again as soon as nobody looks at it any more."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import numpy as np
import torch

from stemcore.component.fields import FieldSpec
from stemcore.data.tensors import INDEX, Batch, held_type, lengths


class Buffers:
    """Hands out arrays for batches of one size, and takes them back when the last tensor on them is gone.

    Fresh memory costs a page fault for every 4 KB, more than decoding into it. Page-locked memory is pooled by PyTorch,
    which also knows when a copy to the device has ended.

    Args:
        fields: the fields of an item.
        batch_size: items of the largest batch.
        pin: whether the memory is page-locked.
    """

    def __init__(self, fields: Mapping[str, FieldSpec], batch_size: int, *, pin: bool = False) -> None:
        self._layout = {n: ((batch_size, *lengths(f)), held_type(f.dtype)) for n, f in fields.items()}
        self._free: dict[str, list[np.ndarray]] = {name: [] for name in fields}
        self.pin = pin

    def take(self, items: int) -> Buffer:
        """Memory for a batch of ``items`` items."""
        arrays = {name: self._array(name) for name in self._layout}
        return Buffer(arrays, items)

    def _array(self, name: str) -> np.ndarray:
        shape, dtype = self._layout[name]
        if self.pin:
            return torch.empty(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype, pin_memory=True).numpy()
        free = self._free[name]
        try:
            array = free.pop()
        except IndexError:
            array = np.empty(shape, dtype)
        # The tensor keeps this very view alive, and all tensors on the same memory keep that one's storage.
        view = array.view()
        weakref.finalize(view, free.append, array).atexit = False
        return view


class Buffer:
    """The arrays of one batch, to be filled row by row."""

    def __init__(self, arrays: dict[str, np.ndarray], items: int) -> None:
        self.arrays, self.items = arrays, items
        # Not among the arrays: the numbers of the items are remembered for longer than their values.
        self.index = np.empty(items, np.int64)

    def tensors(self) -> Batch:
        """The batch, on the same memory."""
        batch = {name: torch.from_numpy(array)[: self.items] for name, array in self.arrays.items()}
        batch[INDEX] = torch.from_numpy(self.index)
        return batch
