"""``stem jobs``: how far the jobs of runs are."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore import Command

if TYPE_CHECKING:
    from stem_cluster.record import Record
    from stem_cluster.states import Status

POLL_SECONDS, ASK_SECONDS = 0.5, 5.0


@click.command(cls=Command)
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN|FOLDER]...")
@click.option("--log", is_flag=True, help="Print what the job of a run has printed so far.")
@click.option("--follow", is_flag=True, help="Print it as it comes, until the job has ended.")
@click.option("--cancel", is_flag=True, help="Cancel the jobs; each saves a checkpoint before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def jobs(places: tuple[Path, ...], log: bool, follow: bool, cancel: bool, as_json: bool) -> None:
    """Show the jobs of runs: their state, and how far they are.

    Without RUN or FOLDER, those of all runs in runs/. The state is what the scheduler says, or, of a job that it no
    longer knows, what the job has written down.
    """
    from stem_cluster.record import find
    from stem_cluster.states import statuses
    from stemcore import UserError, show_json

    if not places and not Path("runs").is_dir():
        raise UserError("there are no runs here", where="runs", hint="give run directories, or folders with runs")
    records = list(find(places or [Path("runs")]))
    if not records and places:
        raise UserError("none of its runs was submitted", where=", ".join(map(str, places)), hint="see stem submit")
    if (log or follow) and len(records) != 1:
        hint = f"give one of its {len(records)} runs"
        raise UserError("a log is that of one job", where=", ".join(map(str, places)) or "runs", hint=hint)
    if log or follow:
        _tail(records[0], follow)
        return
    if cancel:
        for status in statuses(records):
            _cancel(status)
    found = statuses(records)
    if as_json:
        show_json({"jobs": [_document(status) for status in found]})
    else:
        _show(found)


def _cancel(status: Status) -> None:
    from stem_cluster import local, schedulers
    from stem_cluster.resources import LOCAL
    from stem_cluster.script import CANCELLED

    record = status.record
    if not status.live:
        return
    (record.folder / CANCELLED).touch()  # it is not to begin, either, should the scheduler be slower than this
    if record.scheduler != LOCAL:
        schedulers.cancel(record.scheduler, record.current)
    elif record.history:
        local.stop(record.history[-1][-1], record.folder)


def _show(found: list[Status]) -> None:
    from stemcore import show_table

    columns = ["run", "job", "scheduler", "state", "epoch", "step", "requeues"]
    arrays = any(status.record.values for status in found)
    rows = []
    for status in found:
        record = status.record
        row = [str(record.run), record.current, record.scheduler, status.state]
        row += ["" if n is None else str(n) for n in (status.epoch, status.step, record.requeues)]
        values = " ".join(f"{key}={json.dumps(value)}" for key, value in record.values.items())
        rows.append([*row, values] if arrays else row)
    show_table([*columns, "values"] if arrays else columns, rows)


def _document(status: Status) -> dict[str, Any]:
    record = status.record
    return {
        "run": str(record.run),
        "job": record.current,
        "scheduler": record.scheduler,
        "state": status.state,
        "epoch": status.epoch,
        "step": status.step,
        "requeues": record.requeues,
        "submitted": record.submitted,
        "values": record.values,
    }


def _tail(record: Record, follow: bool) -> None:
    """Prints what is in the logs of a job, and what comes, until it has ended."""
    from stem_cluster.states import statuses

    done: dict[Path, int] = {}
    asked, live = 0.0, True
    while True:
        if follow and time.monotonic() - asked >= ASK_SECONDS:
            asked, live = time.monotonic(), statuses([record])[0].live
        for path in sorted(path for end in ("out", "err") for path in record.folder.glob(f"*.{end}")):
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(done.get(path, 0))
                click.echo(file.read(), nl=False)
                done[path] = file.tell()
        if not follow or not live:
            return
        time.sleep(POLL_SECONDS)
