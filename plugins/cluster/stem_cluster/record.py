"""``job.json``: which job trains the run of a directory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stem_cluster.script import HISTORY, JOB, RESUBMITTED, START
from stemcore import UserError, write_atomically

FILE, FORMAT = "job.json", 1


@dataclass(frozen=True)
class Record:
    """A job that was submitted.

    Attributes:
        run: the run directory.
        scheduler: which one has it.
        id: its number there; the process of a local job.
        submitted: when, in the form of ISO 8601.
        command: what was typed.
        values: those of the run in its array.
    """

    run: Path
    scheduler: str
    id: str
    submitted: str
    command: list[str]
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Script, recipe and logs of the job."""
        return self.run / JOB

    @property
    def current(self) -> str:
        """Its number now: PBS gives a job that is put into the queue again another one."""
        return next(reversed(lines(self.folder / RESUBMITTED)), self.id)

    @property
    def requeues(self) -> int:
        """How often it was started again."""
        return max(0, len([event for event in self.history if event[0] == START]) - 1)

    @property
    def history(self) -> list[list[str]]:
        """What has become of it: ``start ID HOST PROCESS``, ``requeue``, ``end CODE``, each as its words."""
        return [line.split()[1:] for line in lines(self.folder / HISTORY)]

    def write(self) -> None:
        """Writes ``job.json``."""
        document = {
            "format": FORMAT,
            "scheduler": self.scheduler,
            "id": self.id,
            "submitted": self.submitted,
            "command": self.command,
            "values": self.values,
        }
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(self.folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))


def read(path: Path) -> Record:
    """The record in a file.

    Raises:
        UserError: if it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UserError("it was written by another version of stemcore", where=str(path))
        names = ("scheduler", "id", "submitted", "command", "values")
        return Record(path.parent.parent, *(document[name] for name in names))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"it is no record of a job: {error}", where=str(path)) from error


def find(places: Iterable[Path]) -> Iterator[Record]:
    """The jobs of run directories, and of all runs in folders, sorted by path.

    Raises:
        UserError: if a place is not there.
    """
    for place in places:
        if not place.is_dir():
            raise UserError("there is no such run or folder", where=str(place), hint="give run directories, or folders")
        direct = place / JOB / FILE
        for path in [direct] if direct.is_file() else sorted(place.glob(f"**/{JOB}/{FILE}"), key=_natural):
            yield read(path)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Runs 2 and 10 of an array in this order."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in path.parts]


def lines(path: Path) -> list[str]:
    """The lines of a text file, none where it is not there."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
