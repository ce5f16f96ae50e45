"""Scalars as a table, ``metrics.csv``."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from stemcore import Logger, UserError

FILE = "metrics.csv"
FIXED = ("step", "epoch")


class CsvLogger(Logger):
    """One row per record in ``metrics.csv``: ``step``, ``epoch``, then every scalar by its logged name; what a
    record does not hold is empty. Every row is on disk as soon as it is logged, so a killed run can be read.

    Raises:
        UserError: if the file to go on from is not one of these tables.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / FILE
        self._columns: list[str] = []
        self._file: TextIO | None = None

    def start(self, recipe: Mapping[str, Any], columns: Sequence[str], step: int) -> None:
        """Writes the header and, when going on, the rows up to ``step`` that are there."""
        old_columns, rows = self._read(step) if step > 0 and self.path.exists() else ([], [])
        wanted = [*FIXED, *columns, *old_columns]
        self._columns = list(dict.fromkeys(wanted))
        self.finish("restarted")
        self.directory.mkdir(parents=True, exist_ok=True)
        # A run killed while the table is being cut back keeps the old one whole.
        part = self.path.with_name(f".{FILE}.part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        self._file = self.path.open("a", newline="", encoding="utf-8", buffering=1)

    def log(self, values: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Appends a row. Raises ``ValueError`` for a name that was not announced to ``start``."""
        if self._file is None:
            raise RuntimeError("log() before start()")
        row = {"step": step, "epoch": epoch, **{name: repr(float(value)) for name, value in values.items()}}
        csv.DictWriter(self._file, self._columns, lineterminator="\n").writerow(row)
        self._file.flush()

    def finish(self, status: str) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, step: int) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and the rows up to ``step``; a last line that was cut off in the middle is left out."""
        text = self.path.read_text(encoding="utf-8")
        whole_lines = text[: text.rfind("\n") + 1]  # what follows the last newline was being written at the kill
        lines = list(csv.reader(whole_lines.splitlines()))
        header = lines[0] if lines else list(FIXED)
        if tuple(header[: len(FIXED)]) != FIXED:
            raise UserError(f"its columns are {', '.join(header[:3])} ..., not step, epoch, ...", where=str(self.path))
        rows = [dict(zip(header, line, strict=True)) for line in lines[1:] if len(line) == len(header)]
        return header, [row for row in rows if row["step"].isdigit() and int(row["step"]) <= step]
