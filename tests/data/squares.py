"""A data set whose values say which item they are."""

from __future__ import annotations

import threading

import numpy as np

from stemcore import Dataset, FieldSpec


class Squares(Dataset):
    """Item i holds i squared; counts how often each item is read."""

    thread_safe = True

    def __init__(self, items: int = 1003, blocks: int = 40) -> None:
        self.items, self.count = items, blocks
        self.reads = np.zeros(items, int)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.items

    @property
    def fields(self) -> dict[str, FieldSpec]:
        return {
            "input": FieldSpec("input", (1, 3), dtype="int64"),
            "weight": FieldSpec("weight", (), dtype="uint32"),
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            np.add.at(self.reads, indices, 1)
        squares = np.asarray(indices, np.int64) ** 2
        return {"input": squares[:, None, None] + np.arange(3), "weight": np.asarray(indices, np.uint32)}

    def blocks(self) -> list[np.ndarray]:
        return np.array_split(np.arange(self.items), self.count)
