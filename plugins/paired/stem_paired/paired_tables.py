"""Two tables of the same samples, as fields of paired data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stem_paired.alignment import align
from stem_paired.grid import fault, listed, together
from stem_paired.metadata import Metadata, column_of, field_name, missing_report, scalar_fields
from stem_paired.table_source import Source, refuse_unmeasured
from stem_paired.tables import Table
from stemcore import Dataset, FieldSpec, UserError

log = logging.getLogger("stemcore")


class PairedTables(Dataset):
    """Two tables of the same samples, measured on two platforms, aligned by sample id.

    Tables are .csv, .tsv or .txt (tabs), also .gz, .parquet, or .h5ad; or both are modalities of one .h5mu file. The
    first column of a table is the sample id, always text, the first row names the features. The samples in both are
    taken, in the order of the first; what is left out is reported.

    Fields: ``input_a``, ``input_b`` (features,) float32, NaN where a value is missing, ``mask_a``, ``mask_b``, true
    where it was measured, and a scalar for each column of the metadata: float32 where they are numbers, else int64
    codes of the sorted texts, negative where it is missing. All is held in memory.

    Args:
        a: table of the first platform.
        b: table of the second one.
        path: a .h5mu file in place of both.
        modality_a: name of the first platform's modality in it; the first one by default.
        modality_b: name of the second platform's; the next one by default.
        metadata: a third table, of what is known about the samples; by default ``obs`` of .h5ad and .h5mu files.
        split_column: column of the metadata that says what a sample is for, train, val or test (``split: given``).
        group_column: column of the metadata whose samples of the same value stay together (``split: group``).
        transpose: whether features are in rows and samples in columns of ``a`` and ``b`` (not of AnnData).
        missing: keep, or drop every sample with a missing value.

    Raises:
        UserError: with everything that is wrong with the tables, by line, sample and feature.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        a: Path | None = None,
        b: Path | None = None,
        path: Path | None = None,
        modality_a: str | None = None,
        modality_b: str | None = None,
        metadata: Path | None = None,
        split_column: str | None = None,
        group_column: str | None = None,
        transpose: bool = False,
        missing: Literal["keep", "drop"] = "keep",
    ) -> None:
        source = Source(a, b, path, modality_a, modality_b, metadata, transpose)
        tables, names, known = source.opened()
        aligned = align(tables["a"], tables["b"], names["a"], names["b"])
        if aligned.report:
            log.warning("%s", aligned.report)
        ids, rows = aligned.ids, {"a": aligned.a, "b": aligned.b}
        if missing == "drop":
            kept = _complete(tables, rows)
            _report_dropped(ids, kept)
            ids, rows = tuple(ids[k] for k in kept.tolist()), {p: r[kept] for p, r in rows.items()}
        self._files = source.files()
        self._ids = ids
        self._fields: dict[str, FieldSpec] = {}
        self._values: dict[str, np.ndarray] = {}
        for p, table in tables.items():
            self._add_platform(p, table, rows[p], names[p])
        self._parts, self._groups = self._add_metadata(known, split_column, group_column)

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> PairedTables:
        """Other samples of the same platforms: a folder with files named as those trained on (metadata may be absent
        there), or a .h5mu file in place of one.

        Raises:
            UserError: if it is neither, or with everything that is wrong with what is there.
        """
        trained = {name: Path(arguments[name]) for name in ("a", "b", "metadata") if arguments.get(name)}
        if arguments.get("path"):
            found = {"path": path}
            if path.is_dir():
                raise UserError("is a folder, the run was trained on a .h5mu file", where=str(path), hint="name a file")
        elif path.is_dir():
            found = {name: path / file.name for name, file in trained.items()}
            if "metadata" in found and not found["metadata"].exists():
                del found["metadata"]
        else:
            files = " and ".join(file.name for name, file in trained.items() if name != "metadata")
            what = "is a file" if path.exists() else "there is no such folder"
            raise UserError(what, where=str(path), hint=f"name a folder with {files} in it")
        rest = {n: v for n, v in arguments.items() if n not in ("a", "b", "path", "metadata")}
        if "metadata" not in found:
            rest |= {"split_column": None, "group_column": None}
        return cls(**rest, **found)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """The inputs with their masks, and a scalar for each column of the metadata."""
        return self._fields

    @property
    def item_names(self) -> Sequence[str]:
        """The sample ids."""
        return self._ids

    @property
    def parts(self) -> np.ndarray | None:
        """What ``split_column`` says."""
        return self._parts

    @property
    def groups(self) -> np.ndarray | None:
        """A number for each value of ``group_column``; a sample without one is a group of its own."""
        return self._groups

    @property
    def files(self) -> Sequence[Path]:
        """The tables."""
        return self._files

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices``. Raises ``IndexError`` if one is not in the data set."""
        wanted = self._checked(indices)
        return {name: values[wanted] for name, values in self._values.items()}

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, straight to where the items belong."""
        wanted = self._checked(indices)
        for name, values in self._values.items():
            # Mode "raise" would write to a copy of ``out`` first.
            np.take(values, wanted, axis=0, out=out[name], mode="clip")

    def values(self, field: str) -> np.ndarray:
        """A field of all items, which are in memory."""
        return self._values[field].copy() if field in self._values else super().values(field)

    def _checked(self, indices: np.ndarray) -> np.ndarray:
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"there are {len(self)} items, from 0; asked for {wanted.min()} to {wanted.max()}")
        return wanted

    def _add(self, spec: FieldSpec, values: np.ndarray) -> None:
        self._fields[spec.name] = spec
        self._values[spec.name] = np.ascontiguousarray(values)

    def _add_platform(self, p: str, table: Table, rows: np.ndarray, where: str) -> None:
        values = table.values[rows]
        refuse_unmeasured(Table(self._ids, table.features, values), where, "in the samples in common")
        shape = (len(table.features),)
        self._add(FieldSpec(f"input_{p}", shape, finite=False, features=table.features), values)
        self._add(FieldSpec(f"mask_{p}", shape, "bool", like=f"input_{p}"), ~np.isnan(values))

    def _add_metadata(
        self, known: Metadata | None, split_column: str | None, group_column: str | None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Adds a field for each column but that of the split; returns what the samples are for, and their groups."""
        named = {"split_column": split_column, "group_column": group_column}
        if known is None:
            if wanted := [name for name, column in named.items() if column]:
                raise UserError(f"'{wanted[0]}' names a column, and there is no 'metadata'", hint="name the table")
            return None, None
        faults, found = [], {}
        mine, absent = known.of(self._ids)
        for name, column in named.items():
            try:
                found[name] = None if column is None else column_of(mine, column, name)
            except UserError as error:
                faults.append(error)
        if len(absent) == len(self._ids):
            faults.append(fault(f"has nothing on any of the samples ({listed(self._ids)})", known.where))
        if faults:
            raise together(faults)
        if absent:
            log.warning("%s", missing_report(mine, absent))
        for name, (spec, values) in scalar_fields(mine).items():
            if split_column is None or name != field_name(split_column):
                self._add(spec, values)
        parts, groups = found["split_column"], found["group_column"]
        return (None if parts is None else np.array(parts, dtype=np.str_)), (None if groups is None else _coded(groups))


def _complete(tables: Mapping[str, Table], rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which of the aligned samples have every value."""
    complete = [~np.isnan(table.values[rows[p]]).any(axis=1) for p, table in tables.items()]
    return np.flatnonzero(np.logical_and.reduce(complete))


def _report_dropped(ids: Sequence[str], kept: np.ndarray) -> None:
    left = [ids[k] for k in np.setdiff1d(np.arange(len(ids)), kept).tolist()]
    if len(left) == len(ids):
        raise UserError(
            "every sample lacks a value, and 'missing' is drop", hint="choose 'keep', and a transform impute"
        )
    if left:
        log.warning("%d samples lack a value and are left out (%s); %d are used", len(left), listed(left), len(kept))


def _coded(texts: Sequence[str]) -> np.ndarray:
    """A number for each text, another for each that is missing."""
    codes = {text: code for code, text in enumerate(sorted({*texts} - {""}))}
    return np.array([codes.get(text, len(codes) + row) for row, text in enumerate(texts)], np.int64)
