"""Where items are kept, and that they come back as they were."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from stemcore import Dataset, FieldSpec
from stemcore.data.cache import Cache, Room, place
from stemcore.data.tensors import to_tensors
from tests.data.squares import Squares

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
BYTES = 1003 * 32


class Typed(Dataset):
    """Items of one stored type."""

    def __init__(self, dtype: str) -> None:
        self.values = np.random.default_rng(0).integers(0, 2, (50, 2, 3)).astype(dtype)
        if dtype not in ("bool", "uint8", "int8"):
            self.values[:, 0, 0] = 300

    def __len__(self) -> int:
        return 50

    @property
    def fields(self) -> dict[str, FieldSpec]:
        return {"input": FieldSpec("input", (2, 3), dtype=self.values.dtype.name)}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {"input": self.values[indices]}


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int64", "float16", "float32", "float64", "bool"]
)
def test_items_come_back_in_their_type_and_with_their_values(dtype: str) -> None:
    data = Typed(dtype)
    cache = Cache(data, CPU)
    stored = {**to_tensors(data.read(np.arange(10, 40))), "index": torch.arange(10, 40)}
    cache.add(stored)
    assert cache.missing(np.arange(50)).tolist() == [*range(10), *range(40, 50)]
    found = cache.take(torch.tensor([39, 10, 10, 22]))
    assert found["input"].dtype == stored["input"].dtype
    assert np.array_equal(found["input"].numpy(), stored["input"].numpy()[[29, 0, 0, 12]])
    assert found["index"].tolist() == [39, 10, 10, 22]


@pytest.mark.parametrize(
    ("mode", "device", "room", "chosen"),
    [
        ("auto", GPU, Room(2 * BYTES, 2 * BYTES), GPU),
        ("auto", GPU, Room(2 * BYTES - 2, 2 * BYTES), CPU),
        ("auto", GPU, Room(None, 2 * BYTES), CPU),
        ("auto", GPU, Room(0, 2 * BYTES - 2), None),
        ("auto", CPU, Room(None, 2 * BYTES), CPU),
        ("auto", CPU, Room(None, None), None),
        ("none", GPU, Room(2 * BYTES, 2 * BYTES), None),
        ("host", GPU, Room(2 * BYTES, 0), CPU),
        ("device", GPU, Room(0, 0), GPU),
        ("device", CPU, Room(0, 0), CPU),
    ],
)
def test_the_nearest_place_with_room_is_chosen_and_said(
    mode: str, device: torch.device, room: Room, chosen: torch.device | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "stemcore"):
        assert place(mode, Squares(), device, room) == chosen
    name = {None: "none", CPU: "host", GPU: "device"}[chosen]
    assert f"cache: {name}" in caplog.text
    assert "32.1 kB" in caplog.text


def test_processes_on_one_machine_share_its_memory() -> None:
    assert place("auto", Squares(), CPU, Room(None, 4 * BYTES), sharers=2) == CPU
    assert place("auto", Squares(), CPU, Room(None, 4 * BYTES), sharers=3) is None
