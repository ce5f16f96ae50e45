from __future__ import annotations

import os
import re
import threading
import time

import numpy as np
import pytest

from stemcore import Dataset, FieldSpec
from stemcore.testing.promises import Broken, NotApplicable
from stemcore.testing.trial_dataset import (
    ensure_alike,
    ensure_declared,
    in_another_thread,
    many_items,
    one_by_one,
    read,
    read_by_both,
    some_items,
)


class Ramp(Dataset):
    """Items that hold their number, and as many points as it says."""

    def __init__(self, *, items: int, pixels: int = 3) -> None:
        self.items, self.pixels = items, pixels

    def __len__(self) -> int:
        return self.items

    @property
    def fields(self):
        return {"input": FieldSpec("input", (self.pixels,), "int64"), "points": FieldSpec("points", (None,), "int64")}

    def read(self, indices):
        most = int(np.max(indices, initial=0))
        return {
            "input": np.repeat(np.asarray(indices)[:, None], self.pixels, axis=1),
            "points": np.zeros((len(indices), most), np.int64),
        }


class Waiting(Ramp):
    """Waits in every process but the one that made it."""

    def __init__(self, *, items: int) -> None:
        super().__init__(items=items)
        self.process = os.getpid()

    def read(self, indices):
        while os.getpid() != self.process:
            time.sleep(0.1)
        return super().read(indices)


@pytest.mark.parametrize(("items", "count"), [(1, 1), (7, 7), (24, 24), (25, 24), (10_000, 24)])
def test_some_items_go_from_the_first_to_the_last(items: int, count: int) -> None:
    chosen = some_items(Ramp(items=items))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, items - 1, count)
    assert (np.diff(chosen) > 0).all()


def test_a_data_set_without_items_cannot_be_tried() -> None:
    with pytest.raises(NotApplicable, match="its example has no items"):
        some_items(Ramp(items=0))


def test_many_are_all_or_a_block() -> None:
    assert len(many_items(Ramp(items=3000))) == 3000
    assert len(many_items(Ramp(items=3000, pixels=10_000))) == 250  # of 240 MB


def test_items_are_alike_wherever_their_shape_is_the_same() -> None:
    dataset = Ramp(items=9)
    items = some_items(dataset)
    expected = one_by_one(dataset, items)
    ensure_alike(dataset, dataset.read(items[::-1]), items[::-1], expected, "items")
    wrong = dataset.read(items)
    wrong["input"] = wrong["input"][::-1]
    with pytest.raises(Broken, match="read of items: 'input' of item 0 is another"):
        ensure_alike(dataset, wrong, items, expected, "items")
    with pytest.raises(Broken, match="gave no 'points', only input"):
        ensure_alike(dataset, {"input": wrong["input"][::-1]}, items, expected, "items")
    with pytest.raises(Broken, match="gave 0 values of 'input' for 9 items"):
        ensure_alike(dataset, {**wrong, "input": np.float64(3)}, items, expected, "items")


def test_a_varying_shape_is_declared_by_none() -> None:
    ensure_declared(Ramp(items=4), np.arange(4), "items")
    ensure_declared(Ramp(items=4), np.arange(0), "no items")


def test_what_reading_raises_says_of_what() -> None:
    with pytest.raises(Broken, match=re.escape("read of two texts raised ") + ".*Error"):
        read(Ramp(items=4), np.array(["a", "b"]), "two texts")


def test_the_other_process_reads_the_same() -> None:
    here, there = read_by_both(Ramp(items=4), np.array([3, 1]))
    assert here["input"].tolist() == there["input"].tolist() == [[3] * 3, [1] * 3]


def test_one_that_waits_for_another_is_not_waited_for() -> None:
    here, there = read_by_both(Waiting(items=4), np.array([3, 1]), limit=0.5)
    assert there == "no answer: does it wait for this one to be done?"
    assert here["input"][0, 0] == 3
    assert read_by_both(Ramp(items=4), np.array([2]))[1]["input"].tolist() == [[2] * 3]


def test_another_thread_is_another() -> None:
    assert in_another_thread(threading.get_ident) != threading.get_ident()
