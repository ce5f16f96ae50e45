"""Which labels train a probe, and which it is scored on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stem_probes.rows import Rows
from stem_probes.targets import Targets
from stemcore import UserError

if TYPE_CHECKING:
    from stemcore import Items

Draw = tuple[np.ndarray, np.ndarray]
"""Rows to train on, and rows to score."""
SPLITS = ("item", "group", "region", "given")
TRIES = 200
PER_CLASS, SHARE = 10, 0.5


@dataclass(frozen=True)
class Protocol:
    """How labels are divided.

    Attributes:
        split: ``item`` draws from all; ``group`` and ``region`` train on some groups of items, or regions of the scan
            or of the items, and score the others; ``given`` does as the data set says.
        per_class: training labels of each class; ``None`` for ``train_share``.
        train_share: of the labels of each class, or of the groups and regions, that may train.
        repeats: draws.
        seed: of the draws.
        regions: along each axis.
    """

    split: str = "item"
    per_class: int | None = None
    train_share: float | None = None
    repeats: int = 10
    seed: int = 0
    regions: int = 4

    def completed(self, regression: bool) -> Protocol:
        """With the amount of training labels that is usual, where none is asked for."""
        if self.per_class is not None or self.train_share is not None or self.split == "given":
            return self
        return replace(self, train_share=SHARE) if regression else replace(self, per_class=PER_CLASS)


def draws(rows: Rows, targets: Targets, items: Items, protocol: Protocol) -> list[Draw]:
    """The draws, which are the same for the same seed.

    Raises:
        UserError: if there are too few labels, or the data know no such groups.
    """
    codes = np.zeros(len(rows), dtype=np.int64) if targets.regression else rows.target
    names = ("numbers",) if targets.regression else targets.names
    generators = [np.random.default_rng([protocol.seed, repeat]) for repeat in range(protocol.repeats)]
    if protocol.split == "item":
        everything = np.arange(len(rows))
        return [_drawn(codes, names, everything, None, protocol, g) for g in generators]
    if protocol.split == "given":
        train, test = _as_given(rows, items)
        chosen = [_drawn(codes, names, train, test, protocol, g) for g in generators]
        return chosen if protocol.per_class or protocol.train_share else chosen[:1]  # all would be the same
    groups = _groups(rows, items, protocol)
    return [_by_group(codes, names, groups, protocol, g) for g in generators]


def _drawn(
    codes: np.ndarray,
    names: Sequence[str],
    pool: np.ndarray,
    test: np.ndarray | None,
    protocol: Protocol,
    generator: np.random.Generator,
) -> Draw:
    """So many of each class from ``pool``; without ``test`` the rest of it is scored."""
    least = int(test is None)  # of each class that must be left to score
    of_class = [pool[codes[pool] == code] for code in range(len(names))]
    wanted = [_count(len(rows), protocol) for rows in of_class]
    few = [k for k, rows in enumerate(of_class) if wanted[k] < 1 or len(rows) < wanted[k] + least]
    if few:
        listed = ", ".join(f"{names[k]} ({len(of_class[k])})" for k in few)
        amount = "a label" if protocol.per_class in (None, 1) else f"{protocol.per_class} labels"
        message = f"too few labels to train on {amount} of each class and score others: {listed}"
        raise UserError(message, where="--labels", hint="lower --per-class, or leave classes out by --ignore-label")
    mixed = [generator.permutation(rows) for rows in of_class]
    train = np.concatenate([rows[:n] for rows, n in zip(mixed, wanted, strict=True)])
    if test is None:
        test = np.concatenate([rows[n:] for rows, n in zip(mixed, wanted, strict=True)])
    return np.sort(train), np.sort(test)


def _count(rows: int, protocol: Protocol) -> int:
    if protocol.per_class is not None:
        return protocol.per_class
    share = 1.0 if protocol.train_share is None or protocol.split in ("group", "region") else protocol.train_share
    return min(rows, max(1, round(share * rows)))


def _as_given(rows: Rows, items: Items) -> Draw:
    if items.parts is None:
        raise UserError("the data do not say what their items are for", where="--split", hint="item, group or region")
    part = items.parts[rows.item]
    train = np.nonzero(part == "train")[0]
    test = next((t for name in ("test", "val") if len(t := np.nonzero(part == name)[0])), np.empty(0, int))
    if not len(train) or not len(test):
        raise UserError("of the labelled items none is to train, or none to test, on", where="--split")
    return train, test


def _groups(rows: Rows, items: Items, protocol: Protocol) -> np.ndarray:
    if protocol.split == "group":
        if items.groups is not None:
            return np.unique(items.groups[rows.item], return_inverse=True)[1].reshape(-1)
        if rows.within:
            return rows.item
        raise UserError("the data have no groups", where="--split", hint="item, region or given")
    if rows.place is None or rows.extent is None:
        raise UserError("there is neither a scan nor places to cut into regions", where="--split", hint="item or group")
    cell = [rows.place[:, k] * protocol.regions // rows.extent[k] for k in (0, 1)]
    regions = cell[0] * protocol.regions + cell[1]
    if rows.within:
        regions = regions + rows.item * protocol.regions**2
    return np.asarray(regions)


def _by_group(
    codes: np.ndarray, names: Sequence[str], groups: np.ndarray, protocol: Protocol, generator: np.random.Generator
) -> Draw:
    """Groups are divided until each side has of each class what it needs."""
    there = np.unique(groups)
    if len(there) == 1:
        what = "region" if protocol.split == "region" else "group"
        message = f"all labels are of one {what}, which cannot both train and be scored"
        raise UserError(message, where="--split", hint="item, or more data")
    count = min(len(there) - 1, max(1, round((protocol.train_share or SHARE) * len(there))))
    for train_groups in _tries(there, count, generator):
        inside = np.isin(groups, train_groups)
        have = [np.bincount(codes[side], minlength=len(names)) for side in (inside, ~inside)]
        if (have[0] >= (protocol.per_class or 1)).all() and (have[1] >= 1).all():
            return _drawn(codes, names, np.nonzero(inside)[0], np.nonzero(~inside)[0], protocol, generator)
    in_groups = [len(np.unique(groups[codes == code])) for code in range(len(names))]
    listed = ", ".join(f"{name} ({n})" for name, n in zip(names, in_groups, strict=True))
    message = f"no division of {len(there)} groups leaves each class enough to train and to score; classes' groups:"
    hint = "lower --per-class, or leave classes out by --ignore-label"
    raise UserError(f"{message} {listed}", where="--split", hint=hint)


def _tries(groups: np.ndarray, count: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(TRIES):
        yield generator.permutation(groups)[:count]
