"""Items in memory, and labels put to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from stem_probes.rows import Rows
from stem_probes.targets import Targets

from stemcore import Dataset, FieldSpec, Items
from stemcore.data.source import whole


class Arrays(Dataset):
    """Arrays (n, ...) by field."""

    def __init__(self, *, scan=None, names=None, groups=None, parts=None, specs=None, **fields) -> None:
        self.arrays = {name: np.asarray(values) for name, values in fields.items()}
        self._scan, self._names, self._groups, self._parts, self._specs = scan, names, groups, parts, specs or {}

    def __len__(self):
        return len(next(iter(self.arrays.values())))

    @property
    def fields(self):
        return {
            name: FieldSpec(name, values.shape[1:], values.dtype.name, **self._specs.get(name, {}))
            for name, values in self.arrays.items()
        }

    def read(self, indices):
        return {name: values[indices] for name, values in self.arrays.items()}

    @property
    def scan_shape(self):
        return self._scan

    @property
    def item_names(self):
        return self._names

    @property
    def groups(self):
        return self._groups

    @property
    def parts(self):
        return self._parts


@pytest.fixture
def items() -> Callable[..., Items]:
    """Makes items of arrays: ``items(scan=(2, 3), input=...)``; a number makes so many that are zero."""

    def make(count: int | None = None, **given) -> Items:
        if count is not None:
            given.setdefault("input", np.zeros((count, 1, 2, 2), np.float32))
        return Items(whole(Arrays(**given)))

    return make


@pytest.fixture
def labelled() -> Callable[..., tuple[Rows, Targets]]:
    """Rows of items with these codes and features, all of zeros unless given."""

    def make(codes: np.ndarray, features: np.ndarray | None = None, **given) -> tuple[Rows, Targets]:
        codes = np.asarray(codes)
        names = tuple("abcdefghij"[: codes.max() + 1]) if codes.dtype.kind == "i" else ("x",)
        given = {"item": np.arange(len(codes)), "place": None, "extent": None, **given}
        features = np.zeros((len(codes), 1)) if features is None else features
        return Rows(features, codes, **given), Targets(codes, names, "labels.npy")

    return make
