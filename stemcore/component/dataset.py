"""Datasets: items read in blocks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stemcore.component.fields import FieldSpec
from stemcore.errors import UserError, close_match

BLOCK_ITEMS = 256


class Dataset(ABC):
    """A source of items. An author writes ``__len__``, ``fields`` and ``read``; shuffling, prefetching, caching,
    splitting, checking of values and sharding are the core's.

    The constructor takes keyword-only parameters alone and raises ``UserError`` for a source that is missing or
    damaged. The main field is called ``input``.
    """

    thread_safe: ClassVar[bool] = False
    """Whether ``read`` may run in several threads at once. Where it may not, one thread reads ahead, and no more."""

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> Dataset:
        """The same kind of data at another path, for ``--data``: a run is applied to it.

        Args:
            path: what was given.
            arguments: the recipe's configuration of the training data. What ``path`` may lack can be left out.

        Raises:
            UserError: if this kind of data has no path, or nothing readable is there.
        """
        if "path" not in arguments:
            raise UserError(f"{cls.__name__} does not read other data", where="--data")
        return cls(**{**arguments, "path": path})

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, FieldSpec]:
        """The tensors of an item by name; shapes without the batch axis, dtypes as stored."""

    @abstractmethod
    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices`` (any order, repeats allowed, may be empty), each field (len(indices), *shape) as stored.

        Raises:
            UserError: if an item cannot be read; the message names it.
            OSError: if storage failed in a way that may pass (EIO, ESTALE, ETIMEDOUT): the core tries again.
        """

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, into contiguous arrays (len(indices), *shape) of the stored types that are there already.

        Worth overriding where decoding can write to its place at once: memory that is used again and again costs a
        fraction of fresh memory.
        """
        for name, values in self.read(indices).items():
            out[name][...] = values

    def read_rows(self, indices: np.ndarray, out: Mapping[str, Sequence[np.ndarray]]) -> bool:
        """As ``read_into``, each item to an array of its own (*shape); ``False``, with nothing read, if not.

        Worth overriding where items are stored one by one: they then come to their batches without a stop.
        """
        return False

    def values(self, field: str) -> np.ndarray:
        """A small field of all items, such as their labels, (len(self), *shape) as stored.

        The default reads every item, block by block; worth overriding where a field is in memory, or stored by itself.

        Raises:
            UserError: if there is no such field, or its shape is another one in each item.
        """
        spec = self.fields.get(field)
        if spec is None:
            raise UserError(f"the data have no field '{field}'", hint=close_match(field, self.fields))
        if None in spec.shape:
            raise UserError(f"field '{field}' has a shape that varies, {spec.shape}")
        found = np.empty((len(self), *(n or 0 for n in spec.shape)), spec.dtype)
        for block in self.blocks():
            found[block] = self.read(block)[field]
        return found

    def blocks(self) -> Sequence[np.ndarray]:
        """Arrays of indices that are cheap to read together; every item is in exactly one of them."""
        return np.array_split(np.arange(len(self)), max(1, -(-len(self) // BLOCK_ITEMS)))

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """Shape of the scan, whose row-major positions are the items, where there is one."""
        return None

    @property
    def groups(self) -> np.ndarray | None:
        """A group number per item, for ``split: group`` (a specimen, a patient); ``None`` where there are none."""
        return None

    @property
    def item_names(self) -> Sequence[str] | None:
        """The name of each item (a sample's id), where items have any."""
        return None

    @property
    def parts(self) -> np.ndarray | None:
        """For ``split: given``, what each item is for: ``train``, ``val`` or ``test``, anything else for none of them;
        ``None`` where the data do not say."""
        return None

    @property
    def files(self) -> Sequence[Path]:
        """The files behind the items."""
        return ()

    def fingerprint(self) -> str:
        """Changes when the data change: size, time of change, first and last 64 KiB of each file, and the fields."""
        digest = hashlib.sha256(repr((len(self), sorted(self.fields.items()))).encode())
        for path in self.files:
            stat = path.stat()
            digest.update(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode())
            with path.open("rb") as f:
                digest.update(f.read(1 << 16))
                f.seek(max(0, stat.st_size - (1 << 16)))
                digest.update(f.read(1 << 16))
        return digest.hexdigest()

    def close(self) -> None:
        """Lets go of files; ``read`` may open them again."""
