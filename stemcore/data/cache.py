"""Items kept in memory, so that storage is read once."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from rich.filesize import decimal
from torch import Tensor

from stemcore.component.dataset import Dataset
from stemcore.data.tensors import INDEX, Batch, held_type, item_bytes, lengths

log = logging.getLogger("stemcore")

SAME_SIZE = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""Types that few kernels take, and those in whose guise they are moved about."""


class Cache:
    """Items of a data set on a device, in their stored types, filled by whoever reads them first.

    Args:
        dataset: the items.
        device: where they are kept.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device = device
        self._items = len(dataset)
        self._kept: dict[str, Tensor] = {}
        self._types: dict[str, torch.dtype] = {}
        self._there = np.zeros(len(dataset), dtype=bool)
        for name, spec in dataset.fields.items():
            stored = torch.from_numpy(np.empty(0, held_type(spec.dtype))).dtype
            self._types[name] = stored
            # Memory of the host is only taken up as it is written to.
            moved = SAME_SIZE.get(stored, stored)
            self._kept[name] = torch.empty((len(dataset), *lengths(spec)), dtype=moved, device=device)

    def missing(self, indices: np.ndarray) -> np.ndarray:
        """Those of the items that are not there yet."""
        lacking: np.ndarray = indices[~self._there[indices]]
        return lacking

    def add(self, batch: Batch) -> None:
        """Keeps the items of a batch, on any device."""
        index = batch[INDEX]
        to = index.to(self.device)
        for name, kept in self._kept.items():
            kept[to] = batch[name].view(kept.dtype).to(self.device)
        self._there[index.cpu().numpy()] = True

    def take(self, index: Tensor) -> Batch:
        """The items ``index`` (n,), which is on the cache's device."""
        # Faster than indexing, which looks at every value by itself, where rows are long.
        batch = {name: kept.index_select(0, index).view(self._types[name]) for name, kept in self._kept.items()}
        batch[INDEX] = index
        return batch


@dataclass(frozen=True)
class Room:
    """Free memory in bytes, ``None`` where it is not known."""

    device: int | None
    host: int | None


def place(mode: str, dataset: Dataset, device: torch.device, room: Room, sharers: int = 1) -> torch.device | None:
    """Where a data set is kept, ``None`` for nowhere; the decision is logged with its numbers.

    Args:
        mode: ``auto``, ``none``, ``host`` or ``device``.
        dataset: the items, of which all are kept.
        device: the device that trains.
        room: free memory.
        sharers: processes on this machine that each keep a copy in the host's memory.
    """
    wanted = len(dataset) * item_bytes(dataset)
    host = torch.device("cpu")
    if mode != "auto":
        chosen = {"none": None, "host": host, "device": device}[mode]
        log.info("cache: %s, as the recipe says (%s)", _named(chosen), decimal(wanted))
        return chosen
    tried = [] if device.type == "cpu" else [(device, room.device, "on the device")]
    tried.append((host, None if room.host is None else room.host // sharers, "in memory"))
    found = []
    for where, free, words in tried:
        found.append(f"{'unknown' if free is None else decimal(free)} free {words}")
        if free is not None and wanted <= free // 2:
            log.info("cache: %s, for %s of data, %s", _named(where), decimal(wanted), ", ".join(found))
            return where
    log.info("cache: none, for %s of data, %s; batches are read from storage", decimal(wanted), ", ".join(found))
    return None


def _named(where: torch.device | None) -> str:
    if where is None:
        return "none"
    return "host" if where.type == "cpu" else "device"
