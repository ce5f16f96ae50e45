"""Training, validation and test splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.errors import UserError


@dataclass(frozen=True)
class Split:
    """Sorted item indices of each part; the parts are disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split(
    dataset: Dataset, *, val: float, test: float, by: str, seed: int, folds: int | None = None, fold: int = 0
) -> Split:
    """Splits a data set.

    With ``folds``, what is not for testing is dealt into as many parts, which differ by one unit at most; the test part
    is that of the same seed without folds.

    Args:
        dataset: the items.
        val, test: fractions of the items, 0 for none. A part that is wanted gets at least one unit.
        by: what stays together in a random draw: ``item``; ``block`` (whole storage blocks, so that validation reads
            few of them); ``group``. Or ``given``: as the data say; where these have no items for validation or for
            testing, those are drawn, item by item, from what they have for training.
        seed: of the draw.
        folds: into how many parts to deal; ``val`` and what the data give for validation then count for nothing.
        fold: which of them validates; the others train.

    Raises:
        UserError: if the dataset has no groups or does not say what is for what, or if too few units are left to train
            on.
    """
    if by != "given":
        units = _units(dataset, by)
        return _drawn(units, val, test, by, seed) if folds is None else _dealt(units, test, by, seed, folds, fold)
    given = _given(dataset)
    if folds is None:
        return _as_given(given, val, test, seed)
    kept = given["test"]
    items = list(np.sort(np.concatenate([given["train"], given["val"]])).reshape(-1, 1))
    dealt = _dealt(items, 0.0 if len(kept) else test, "item", seed, folds, fold)
    return Split(dealt.train, dealt.val, np.concatenate([kept, dealt.test]))


def _as_given(given: dict[str, np.ndarray], val: float, test: float, seed: int) -> Split:
    val, test = (0.0 if len(given[part]) else share for part, share in (("val", val), ("test", test)))
    drawn = _drawn(list(given["train"].reshape(-1, 1)), val, test, "item", seed)
    return Split(drawn.train, *(np.concatenate([given[p], getattr(drawn, p)]) for p in ("val", "test")))


def _given(dataset: Dataset) -> dict[str, np.ndarray]:
    parts = dataset.parts
    if parts is None:
        raise UserError(
            "the data do not say which items are for training", where="data.split", hint="choose item, block or group"
        )
    found = {part: np.flatnonzero(np.asarray(parts) == part) for part in ("train", "val", "test")}
    if len(found["train"]) < 2:
        raise UserError(
            f"the data give {len(found['train'])} items to training",
            where="data.split",
            hint=f"what they say is {', '.join(map(repr, np.unique(parts).tolist()))}; known are train, val and test",
        )
    return found


def _drawn(units: Sequence[np.ndarray], val: float, test: float, by: str, seed: int) -> Split:
    order, ends = _shuffled(units, seed)
    total = int(ends[-1])
    n_test = _count(ends, test * total, test > 0)
    n_val = n_test + _count(ends[n_test:] - (ends[n_test - 1] if n_test else 0), val * total, val > 0)
    if n_val >= len(units):
        raise UserError(
            f"{total} items in {len(units)} {by}s are too few to leave any for training",
            where="data.val",
            hint="lower data.val and data.test, or choose data.split: item",
        )
    return _split_of(units, order[n_val:], order[n_test:n_val], order[:n_test])


def _dealt(units: Sequence[np.ndarray], test: float, by: str, seed: int, folds: int, fold: int) -> Split:
    order, ends = _shuffled(units, seed)
    n_test = _count(ends, test * int(ends[-1]), test > 0)
    rest = order[n_test:]
    if len(rest) < folds:
        raise UserError(
            f"{len(rest)} {by}s cannot be dealt into {folds} folds",
            where="data.folds",
            hint="choose fewer folds, or data.split: item" if by != "item" else "choose fewer folds",
        )
    return _split_of(units, np.delete(rest, np.s_[fold::folds]), rest[fold::folds], order[:n_test])


def _shuffled(units: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The order in which units are drawn, and how many items they are up to each."""
    order = np.random.default_rng([seed, 0x5EED]).permutation(len(units))
    return order, np.cumsum(np.array([len(u) for u in units])[order])


def _split_of(units: Sequence[np.ndarray], *parts: np.ndarray) -> Split:
    return Split(*(np.sort(np.concatenate([units[i] for i in p] or [np.empty(0, np.int64)])) for p in parts))


def _units(dataset: Dataset, by: str) -> Sequence[np.ndarray]:
    if by == "block":
        return dataset.blocks()
    if by == "group":
        groups = dataset.groups
        if groups is None:
            raise UserError("this dataset has no groups", where="data.split", hint="choose item or block")
        return [np.flatnonzero(groups == g) for g in np.unique(groups)]
    return list(np.arange(len(dataset)).reshape(-1, 1))


def _count(ends: np.ndarray, items: float, wanted: bool) -> int:
    """How many units come nearest to ``items`` items."""
    if not wanted or len(ends) == 0:
        return 0
    return max(1, int(np.argmin(np.abs(ends - items))) + 1)
