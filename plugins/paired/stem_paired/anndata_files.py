"""Tables in the files of AnnData (.h5ad) and MuData (.h5mu)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stem_paired.frames import checked
from stem_paired.grid import Grid, Roles, fault
from stem_paired.libraries import imported
from stemcore import UserError

if TYPE_CHECKING:
    from stem_paired.tables import Table


def read_h5ad(path: Path) -> tuple[Table, Any]:
    """The matrix ``X`` with the names of its samples and features, and the frame ``obs`` of the samples' metadata.

    Raises:
        UserError: if it is damaged or has no matrix, or with everything that is wrong with that.
    """
    library = imported("anndata", "reading .h5ad files")
    held = _read(library.read_h5ad, path)
    return _table(path, held, "X"), held.obs


class Modalities(NamedTuple):
    """Two modalities: their names, their matrices, and the frame of the samples' metadata."""

    names: tuple[str, str]
    tables: tuple[Table, Table]
    obs: Any


def read_h5mu(path: Path, modality_a: str | None, modality_b: str | None) -> Modalities:
    """The matrices of two modalities, by default the first two, and the metadata: the columns of ``obs`` that belong to
    all modalities, then those of either modality that are not among them.

    Raises:
        UserError: if it is damaged or lacks a modality, or with everything that is wrong with the matrices.
    """
    library = imported("mudata", "reading .h5mu files")
    held = _read(library.read_h5mu, path)
    there = list(held.mod)
    rest = [name for name in there if name not in (modality_a, modality_b)]
    chosen = [wanted or (rest.pop(0) if rest else "") for wanted in (modality_a, modality_b)]
    hint = f"it has {', '.join(there) or 'none'}"
    if "" in chosen:
        raise UserError("has too few modalities", where=str(path), hint=hint)
    for name in chosen:
        if name not in held.mod:
            raise UserError(f"has no modality '{name}'", where=str(path), hint=hint)
    if chosen[0] == chosen[1]:
        raise UserError(f"'{chosen[0]}' is both modalities", where=str(path), hint=hint)
    a, b = (_table(path, held.mod[name], f"modality '{name}'") for name in chosen)
    of_all = held.obs[[c for c in held.obs.columns if str(c).partition(":")[0] not in held.mod]]
    frame = of_all.reindex(held.mod[chosen[0]].obs_names)
    for name in chosen:
        own = held.mod[name].obs
        frame = frame.join(own[[c for c in own.columns if c not in frame.columns]])
    return Modalities((chosen[0], chosen[1]), (a, b), frame)


def _read(reader: Any, path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of names that are there twice, which are refused below.
            return reader(path)
    except Exception as error:  # Each version of the library has errors of its own.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot be read as {path.suffix} ({reason})", where=str(path)) from error


def _table(path: Path, held: Any, what: str) -> Table:
    from stem_paired.tables import Table

    matrix = held.X
    if matrix is None:
        raise UserError(f"{what} holds no matrix", where=str(path))
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    values = np.ascontiguousarray(dense, dtype=np.float32)
    faults = [] if values.size else [fault(f"{what} is empty, {values.shape[0]} x {values.shape[1]}", str(path))]
    ids, features = (tuple(str(name).strip() for name in names) for names in (held.obs_names, held.var_names))
    grid = checked(path, Grid(ids, features, values), Roles(), faults)
    return Table(grid.rows, grid.columns, grid.values)
