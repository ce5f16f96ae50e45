"""Training, validation and test splits."""

from __future__ import annotations

import numpy as np
import pytest

from stemcore import Dataset, FieldSpec, UserError
from stemcore.data.split import Split, split


class Numbers(Dataset):
    """``n`` numbers in blocks of ``size``, three groups."""

    def __init__(self, n: int = 100, size: int = 8) -> None:
        self.n, self.size = n, size

    def __len__(self) -> int:
        return self.n

    @property
    def fields(self) -> dict[str, FieldSpec]:
        return {"input": FieldSpec("input", (1,))}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {"input": np.asarray(indices, np.float32)[:, None]}

    def blocks(self) -> list[np.ndarray]:
        return [np.arange(i, min(i + self.size, self.n)) for i in range(0, self.n, self.size)]

    @property
    def groups(self) -> np.ndarray:
        return np.arange(self.n) // 25


@pytest.mark.parametrize("by", ["item", "block", "group"])
def test_parts_are_disjoint_and_cover_everything(by: str) -> None:
    parts = split(Numbers(), val=0.25, test=0.25, by=by, seed=3)
    together = np.concatenate([parts.train, parts.val, parts.test])
    assert np.array_equal(np.sort(together), np.arange(100))


def test_sizes_are_as_asked_for() -> None:
    parts = split(Numbers(1000), val=0.2, test=0.1, by="item", seed=42)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (700, 200, 100)


def test_blocks_and_groups_stay_whole() -> None:
    data = Numbers()
    for by, units in (("block", data.blocks()), ("group", [np.flatnonzero(data.groups == g) for g in range(4)])):
        parts = split(data, val=0.3, test=0.0, by=by, seed=1)
        for unit in units:
            assert np.isin(unit, parts.val).all() or not np.isin(unit, parts.val).any()


def test_a_wanted_part_is_never_empty_and_an_unwanted_one_is() -> None:
    parts = split(Numbers(10), val=0.01, test=0.0, by="item", seed=1)
    assert (len(parts.val), len(parts.test)) == (1, 0)


def test_the_split_depends_on_the_seed() -> None:
    first, again, other = (split(Numbers(), val=0.2, test=0, by="item", seed=s).val for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_few_blocks_to_train_on_is_said() -> None:
    with pytest.raises(UserError, match="too few to leave any for training"):
        split(Numbers(10, size=10), val=0.2, test=0.0, by="block", seed=1)


class Said(Numbers):
    """Says what each item is for."""

    def __init__(self, parts: str) -> None:
        super().__init__(len(parts))
        self.said = np.array([{"t": "train", "v": "val", "e": "test", "-": ""}[letter] for letter in parts])

    @property
    def parts(self) -> np.ndarray:
        return self.said


def test_a_given_split_is_kept_and_only_what_it_lacks_is_drawn() -> None:
    parts = split(Said("tttve-tt" * 5), val=0.5, test=0.5, by="given", seed=1)
    assert parts.val.tolist() == [*range(3, 40, 8)]
    assert parts.test.tolist() == [*range(4, 40, 8)]
    assert not np.isin(range(5, 40, 8), parts.train).any()
    lacking = split(Said("ttttte" * 10), val=0.2, test=0.9, by="given", seed=1)
    assert lacking.test.tolist() == [*range(5, 60, 6)]
    assert (len(lacking.train), len(lacking.val)) == (40, 10)
    assert not np.isin(lacking.val, lacking.test).any()


def test_a_given_split_without_training_items_or_of_data_that_say_nothing() -> None:
    with pytest.raises(UserError, match="the data give 1 items to training"):
        split(Said("tvve"), val=0.2, test=0.0, by="given", seed=1)
    with pytest.raises(UserError, match="do not say which items are for training"):
        split(Numbers(), val=0.2, test=0.0, by="given", seed=1)


class Given(Numbers):
    """Says itself what its items are for: of every ten the first for testing, the second for validation."""

    @property
    def parts(self) -> list[str]:
        return [{0: "test", 1: "val"}.get(i % 10, "train") for i in range(self.n)]


class WithoutTest(Given):
    @property
    def parts(self) -> list[str]:
        return ["train"] * 70 + ["val"] * 30


def dealt(data: Numbers, by: str, folds: int, **options: float) -> list[Split]:
    given = {"val": 0.5, "test": 0.2, "seed": 3, **options}
    return [split(data, by=by, folds=folds, fold=k, **given) for k in range(folds)]


@pytest.mark.parametrize("by", ["item", "block", "group", "given"])
def test_folds_partition_what_is_not_for_testing_which_they_leave_alone(by: str) -> None:
    data = Given(110)  # 14 blocks, the last of 6 items; 5 groups
    folds = dealt(data, by, 3)
    test = np.arange(0, 110, 10) if by == "given" else split(data, val=0.3, test=0.2, by=by, seed=3).test
    for fold in folds:
        assert np.array_equal(fold.test, test)
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.val, fold.test])), np.arange(110))
    assert np.array_equal(np.sort(np.concatenate([fold.val for fold in folds])), np.setdiff1d(np.arange(110), test))


@pytest.mark.parametrize(("by", "unit"), [("item", 1), ("block", 8), ("group", 25)])
def test_folds_are_of_whole_units_and_differ_by_one_at_most(by: str, unit: int) -> None:
    units = [np.unique(fold.val // unit) for fold in dealt(Numbers(200), by, 3, test=0.0)]
    sizes = [len(u) for u in units]
    assert sum(sizes) == 200 // unit == len(np.unique(np.concatenate(units)))
    assert max(sizes) - min(sizes) <= 1


def test_folds_of_given_data_draw_a_test_part_where_none_is_given() -> None:
    first, second = dealt(WithoutTest(100), "given", 2)
    assert len(first.test) == 20
    assert np.array_equal(first.test, second.test)
    assert np.array_equal(first.train, second.val)


def test_the_folds_depend_on_the_seed() -> None:
    first, again, other = (dealt(Numbers(), "item", 4, seed=s)[1].val for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_few_units_for_the_folds_are_said() -> None:
    with pytest.raises(UserError, match=r"data.folds: 4 groups cannot be dealt into 5 folds; choose fewer folds"):
        dealt(Numbers(), "group", 5, test=0.0)
