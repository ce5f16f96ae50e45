"""Paths in a recipe: files that are there, and globs."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from stemcore import UserError, missing_file


def files_named(paths: Path | Sequence[Path]) -> list[Path]:
    """The files behind one or several paths or globs: those of a glob sorted, otherwise in the order given.

    Raises:
        UserError: for a path that is no readable file, a glob that matches none, or a file named twice.
    """
    found: list[Path] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        found += _matches(path.expanduser())
    if not found:
        raise UserError("no file is named", hint="'path' takes a file, a glob, or a list of them")
    first: dict[Path, Path] = {}
    for path in found:
        check_file(path)
        if (real := path.resolve()) in first:
            raise UserError(f"named twice, the second time as {path}", where=str(first[real]), hint="name it once")
        first[real] = path
    return found


def _matches(path: Path) -> list[Path]:
    # A file whose own name holds a bracket is taken as it is.
    if not glob.has_magic(str(path)) or os.path.lexists(path):
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True))
    if not matches:
        raise missing_file(path, "no file matches")
    return [Path(match) for match in matches]


def check_file(path: Path) -> None:
    """Raises ``UserError`` unless ``path`` is a file that may be read."""
    try:
        mode = path.stat().st_mode
        allowed = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    except (FileNotFoundError, NotADirectoryError):
        raise missing_file(path) from None
    except PermissionError:
        allowed, mode = False, 0
    if not allowed:
        raise UserError("may not be read: permission denied", where=str(path), hint="ask its owner for read access")
    if stat.S_ISDIR(mode):
        raise UserError("is a directory", where=str(path), hint=f"name a file in it, or a glob such as {path / '*.h5'}")
