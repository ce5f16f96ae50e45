"""The files that paired tables come from: two tables, or one that holds both, and metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from stem_paired.grid import listed, together
from stem_paired.metadata import Metadata, metadata_of, read_metadata
from stem_paired.tables import Table, check_file, read_table
from stemcore import UserError

T = TypeVar("T")


class Opened(NamedTuple):
    """What was read.

    Attributes:
        tables: by platform.
        names: what to call them.
        metadata: of the samples, if there is any.
    """

    tables: dict[str, Table]
    names: dict[str, str]
    metadata: Metadata | None


@dataclass(frozen=True)
class Source:
    """Where the tables are: ``a`` and ``b``, or both in ``path``; see the parameters of ``paired_tables``."""

    a: Path | None
    b: Path | None
    path: Path | None
    modality_a: str | None
    modality_b: str | None
    metadata: Path | None
    transpose: bool

    def files(self) -> list[Path]:
        """All files that are named."""
        return [p.expanduser() for p in (self.a, self.b, self.path, self.metadata) if p is not None]

    def opened(self) -> Opened:
        """The tables and the metadata.

        Raises:
            UserError: if it is not clear where the tables are, or with everything that is wrong with any of them.
        """
        self._refuse_unclear()
        faults: list[UserError] = []
        found = self._one_file(faults) if self.path is not None else self._two_files(faults)
        known = found.metadata
        if self.metadata is not None:
            path = self.metadata.expanduser()
            known = _unless(faults, lambda: read_metadata(path))
        for p, table in found.tables.items():
            _unless(faults, lambda table=table, p=p: refuse_unmeasured(table, found.names[p]))  # type: ignore[misc]
        if faults:
            raise together(faults)
        return found._replace(metadata=known)

    def _two_files(self, faults: list[UserError]) -> Opened:
        opened = Opened({}, {}, None)
        for p, given in (("a", self.a), ("b", self.b)):
            path = Path(given or "").expanduser()
            one = _unless(faults, lambda path=path: _read(path, self.transpose))  # type: ignore[misc]
            opened.names[p] = str(path)
            if one is not None:
                opened.tables[p] = one[0]
                opened = opened._replace(metadata=opened.metadata or one[1])
        return opened

    def _one_file(self, faults: list[UserError]) -> Opened:
        path = Path(self.path or "").expanduser()
        opened = _unless(faults, lambda: _read_both(path, self.modality_a, self.modality_b))
        return opened or Opened({}, {}, None)

    def _refuse_unclear(self) -> None:
        named = [name for name, given in (("a", self.a), ("b", self.b)) if given is not None]
        right = "give both 'a' and 'b', or the 'path' of a .h5mu file"
        if self.path is not None and named:
            raise UserError(f"'path' is a file with both tables, and there is '{named[0]}' besides", hint=right)
        if self.path is None and len(named) < 2:
            there = f"there is only the table '{named[0]}'" if named else "no tables are named"
            raise UserError(there, hint=right)
        if self.path is None and (self.modality_a or self.modality_b):
            raise UserError("'modality_a' and 'modality_b' are of a .h5mu file", hint="give its 'path'")


def refuse_unmeasured(table: Table, where: str, among: str = "") -> None:
    """Raises ``UserError`` for features without any value."""
    empty = np.flatnonzero(np.isnan(table.values).all(axis=0)).tolist()
    if empty:
        what = "a feature has no value" if len(empty) == 1 else f"{len(empty)} features have no value"
        named = listed((f"'{table.features[k]}'" for k in empty), len(empty))
        raise UserError(f"{what}{f' {among}' if among else ''}: {named}", where=where, hint="leave out such columns")


def _unless(faults: list[UserError], act: Callable[[], T]) -> T | None:
    """What ``act`` returns; an error of the user's is kept with the others."""
    try:
        return act()
    except UserError as error:
        faults.append(error)
        return None


def _read(path: Path, transpose: bool) -> tuple[Table, Metadata | None]:
    if path.suffix != ".h5ad":
        return read_table(path, transpose=transpose), None
    from stem_paired.anndata_files import read_h5ad

    check_file(path, (".h5ad",))
    table, frame = read_h5ad(path)
    return table, metadata_of(path, frame.index, frame) if frame.shape[1] else None


def _read_both(path: Path, modality_a: str | None, modality_b: str | None) -> Opened:
    from stem_paired.anndata_files import read_h5mu

    check_file(path, (".h5mu",))
    both = read_h5mu(path, modality_a, modality_b)
    names = {p: f"{path} ({name})" for p, name in zip("ab", both.names, strict=True)}
    known = metadata_of(path, both.obs.index, both.obs) if both.obs.shape[1] else None
    return Opened(dict(zip("ab", both.tables, strict=True)), names, known)
