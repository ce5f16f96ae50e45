"""Memory for batches, used again as soon as nobody looks at it any more."""

from __future__ import annotations

import heapq
import itertools
import threading
import weakref
from collections.abc import Hashable, Mapping

import numpy as np
import torch

from stemcore.component.fields import FieldSpec
from stemcore.data.tensors import INDEX, Batch, held_type, lengths


class BatchMemory:
    """The memory of all loaders of a run: what one epoch or validation has touched serves the next."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[Hashable, ...], Buffers] = {}

    def of(self, fields: Mapping[str, FieldSpec], batch_size: int, batches: int, *, pin: bool) -> Buffers:
        """The buffers for batches of this kind. See :class:`Buffers`."""
        key = (*fields.values(), batch_size, batches, pin)
        if key not in self._buffers:
            self._buffers[key] = Buffers(fields, batch_size, batches, pin=pin)
        return self._buffers[key]


class Buffers:
    """Hands out memory for batches of one size, and takes it back when the last tensor on it is gone.

    Fresh memory costs a page fault for every 4 KB, more than decoding into it. Many batches share one slab: items are
    brought to their places in one call, and a slab is large enough for huge pages. Page-locked memory is left to
    PyTorch, which pools it and knows when a copy to the device has ended: there each batch is a slab by itself.

    Args:
        fields: the fields of an item.
        batch_size: items of the largest batch.
        batches: that are open at a time, as a rule. More can be had.
        pin: whether the memory is page-locked.
    """

    def __init__(
        self, fields: Mapping[str, FieldSpec], batch_size: int, batches: int = 1, *, pin: bool = False
    ) -> None:
        self._fields, self._batch_size = dict(fields), batch_size
        self._batches, self._pin = max(1, batches), pin
        self._slabs: list[Slab] = []
        self._taking = threading.Lock()

    def take(self) -> Buffer:
        """Memory for a batch."""
        if self._pin:
            return Slab(self._fields, self._batch_size, 1, pin=True).take()
        with self._taking:
            for slab in self._slabs:
                if slab.free:
                    return slab.take()
            self._slabs.append(Slab(self._fields, self._batch_size, self._batches))
            return self._slabs[-1].take()


class Slab:
    """Memory for several batches.

    Attributes:
        arrays: each field's, (batches * batch_size, *shape).
        free: numbers of the batches that nobody uses, lowest first: what was never needed is never touched.
    """

    def __init__(self, fields: Mapping[str, FieldSpec], batch_size: int, batches: int, *, pin: bool = False) -> None:
        self.batch_size, self.free = batch_size, list(range(batches))
        self.arrays: dict[str, np.ndarray] = {}
        for name, spec in fields.items():
            shape, dtype = (batches * batch_size, *lengths(spec)), held_type(spec.dtype)
            if pin:
                same = torch.from_numpy(np.empty(0, dtype)).dtype
                self.arrays[name] = torch.empty(shape, dtype=same, pin_memory=True).numpy()
            else:
                self.arrays[name] = np.empty(shape, dtype)

    def take(self) -> Buffer:
        """The first free part."""
        return Buffer(self, heapq.heappop(self.free))


class Buffer:
    """The part of a slab for one batch: rows from ``start`` on."""

    def __init__(self, slab: Slab, number: int) -> None:
        self.slab, self.start, self._number = slab, number * slab.batch_size, number

    def tensors(self, items: np.ndarray) -> Batch:
        """The batch of ``items``, on this memory, which is free again when the last of its tensors is gone."""
        batch, gone = {}, itertools.count(1)
        for name, array in self.slab.arrays.items():
            # A tensor keeps this very view alive, and all tensors made from it keep the tensor's storage.
            view = array[self.start : self.start + len(items)]
            weakref.finalize(view, self._one_gone, gone).atexit = False
            batch[name] = torch.from_numpy(view)
        batch[INDEX] = torch.from_numpy(items)
        return batch

    def release(self) -> None:
        """Gives back memory that was never handed out."""
        heapq.heappush(self.slab.free, self._number)

    def _one_gone(self, gone: itertools.count[int]) -> None:
        if next(gone) == len(self.slab.arrays):
            self.release()
