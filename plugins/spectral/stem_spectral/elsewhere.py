"""What other data have that a run is applied to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stem_spectral.cube_formats import check_file
from stem_spectral.manifest import Columns, rows_at
from stem_spectral.open_files import OpenFiles


def has(path: Path, role: str, arguments: Mapping[str, Any]) -> bool:
    """Whether other data have what a parameter names: a column of the table, or an array in the first file."""
    check_file(path)
    if role.endswith("column"):
        if path.suffix.lower() != ".csv":
            return False
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return arguments[role] in [cell.strip().strip('"') for cell in file.readline().split(",")]
    columns = Columns(id=arguments.get("id_column", "ID"), file=arguments.get("file_column", "hs_file"))
    files = OpenFiles()
    try:
        return str(arguments[role]).strip("/") in files.file(rows_at(path, columns)[0].path).arrays()
    finally:
        files.close()
