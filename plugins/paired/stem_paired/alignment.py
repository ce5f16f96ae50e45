"""Which samples two tables have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stem_paired.grid import listed
from stem_paired.tables import Table
from stemcore import UserError


@dataclass(frozen=True)
class Alignment:
    """The samples in common, in the order of the first table.

    Attributes:
        ids: of the samples.
        a, b: (n,) their rows in either table.
        report: what was left out, in one line; empty if nothing was.
    """

    ids: tuple[str, ...]
    a: np.ndarray
    b: np.ndarray
    report: str


def align(a: Table, b: Table, name_a: str, name_b: str) -> Alignment:
    """Aligns two tables by sample id.

    Args:
        a, b: the tables.
        name_a, name_b: what to call them.

    Raises:
        UserError: if they have no sample in common.
    """
    place = {name: row for row, name in enumerate(b.ids)}
    ids = tuple(name for name in a.ids if name in place)
    if not ids:
        message = (
            f"have no sample in common, such as {listed(a.ids[:1])} of the one and {listed(b.ids[:1])} of the other"
        )
        raise UserError(message, where=f"{name_a} and {name_b}", hint=_why_none(a, b))
    kept = set(ids)
    rows = np.array([row for row, name in enumerate(a.ids) if name in kept])
    only = {name_a: [n for n in a.ids if n not in kept], name_b: [n for n in b.ids if n not in kept]}
    left = [f"{len(names)} of {where} ({listed(names)})" for where, names in only.items() if names]
    report = f"{' and '.join(left)} are not in the other table and left out; {len(ids)} samples are used"
    if _seems_turned(len(ids), a, b):
        report += "; most of their column names are the same: is 'transpose' right?"
    return Alignment(ids, rows, np.array([place[name] for name in ids]), report if left else "")


def _seems_turned(common: int, a: Table, b: Table) -> bool:
    """Whether few rows and most columns are named alike."""
    few = 2 * common < min(len(a.ids), len(b.ids))
    return few and 2 * len({*a.features} & {*b.features}) > min(len(a.features), len(b.features))


def _why_none(a: Table, b: Table) -> str:
    if {*a.features} & {*b.features}:
        return "their columns have names in common: set 'transpose' if these are the samples"
    if {*a.ids} & {*b.features} or {*a.features} & {*b.ids}:
        return "the samples of one stand in the header of the other: turn one of them"
    for what, same in SAME.items():
        if {*map(same, a.ids)} & {*map(same, b.ids)}:
            return f"their ids differ in {what} alone: write them alike"
    return "the first column of each is the sample id"


SAME: dict[str, Callable[[str], str]] = {
    "case": str.casefold,
    "their signs ('.', '-', '_', blanks)": lambda name: "".join(c for c in name if c not in ".-_ "),
    "leading zeros": lambda name: name.lstrip("0"),
}
