"""How far the run of a job is."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stem_cluster import local, schedulers
from stem_cluster.record import Record
from stem_cluster.resources import LOCAL
from stem_cluster.schedulers import CANCELLED, FAILED, FINISHED, LIVE, PENDING, RUNNING
from stem_cluster.script import CANCELLED as CANCELLED_FILE
from stem_cluster.script import END, START

INTERRUPTED, LOST = "interrupted", "lost"
TAIL_BYTES = 65536


@dataclass(frozen=True)
class Status:
    """A job and its run.

    Attributes:
        record: the job.
        state: ``pending``, ``running``, ``suspended``; ``finished``, ``failed``, ``interrupted``, ``cancelled``,
            ``timeout``; ``lost``, if it was started, and nobody knows of its end.
        epoch, step: how far the run is, as far as it has said.
    """

    record: Record
    state: str
    epoch: int | None
    step: int | None

    @property
    def live(self) -> bool:
        """Whether the job has not ended for good."""
        return self.state in LIVE


def statuses(records: Iterable[Record]) -> list[Status]:
    """The status of each job; every scheduler is asked once."""
    found = list(records)
    known = {
        name: schedulers.states(name, [r.current for r in found if r.scheduler == name])
        for name in {r.scheduler for r in found} - {LOCAL}
    }
    return [Status(r, _state(r, known.get(r.scheduler, {}).get(r.current)), *_progress(r.run)) for r in found]


def _state(record: Record, said: str | None) -> str:
    if record.scheduler == LOCAL:
        said = _of_local(record)
    if said in LIVE:
        return said or RUNNING
    if (record.folder / CANCELLED_FILE).exists():
        return CANCELLED
    # The scheduler forgets jobs after some minutes, and knows less of their end than the script has written down.
    last = record.history[-1] if record.history else []
    if not last or last[0] != END:
        return said or LOST
    code = int(last[-1])
    if code == 0:
        return FINISHED
    return said if said not in (None, FAILED) else INTERRUPTED if code >= 128 else FAILED


def _of_local(record: Record) -> str | None:
    """Whether the process of a run is there; in an array, whether the one is that starts them in turn."""
    starts = [event for event in record.history if event[0] == START]
    process = starts[-1][-1] if starts else record.id
    over = bool(starts) and record.history[-1][0] == END
    if over or not local.is_alive(process, record.folder):
        return None
    return RUNNING if starts else PENDING


def _progress(run: Path) -> tuple[int | None, int | None]:
    """Epoch and step: of the table of metrics, which is written during training, or else of the summary."""
    epoch, step = _last_row(run / "metrics.csv")
    summary = _summary(run)
    if epoch is None and "epochs" in summary:
        return summary["epochs"], summary.get("steps")
    return epoch, step


def _last_row(table: Path) -> tuple[int | None, int | None]:
    if not table.is_file():
        return None, None
    with table.open("rb") as file:
        head = file.readline().decode()
        file.seek(max(file.tell(), table.stat().st_size - TAIL_BYTES))
        tail = file.read().decode(errors="replace")
    whole = tail[: tail.rfind("\n") + 1].splitlines()
    names = next(csv.reader([head]), [])
    if not whole or not {"epoch", "step"} <= set(names):
        return None, None
    row = dict(zip(names, next(csv.reader(whole[-1:])), strict=False))
    return (int(row["epoch"]), int(row["step"])) if row["epoch"].isdecimal() else (None, None)


def _summary(run: Path) -> dict[str, Any]:
    path = run / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
