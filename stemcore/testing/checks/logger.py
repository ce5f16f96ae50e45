"""What a logger promises."""

from __future__ import annotations

import io
import math
import os
import pickletools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from stemcore.component.logger import Logger
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import LoggerExample
from stemcore.testing.folders import standing_in
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject

COLUMNS = ("lr", "train/loss", "val/loss", "val/score", "step/loss")
RECIPE = {"name": "checked", "seed": 0, "trainer": {"max_epochs": 3}, "losses": [{"type": "square", "weight": 1.0}]}

Record = tuple[int, int, dict[str, float]]
Seen = dict[tuple[int, str], float]


def _records(first: int, last: int, offset: float = 0.0) -> list[Record]:
    """Records of the steps from ``first`` to ``last``: one within an epoch, and one of the epoch at each fifth step."""
    made: list[Record] = []
    for step in range(first, last + 1):
        epoch = 1 + (step - 1) // 5
        made.append((step, epoch, {"step/loss": offset + 1 / step, "lr": 1e-3 / epoch}))
        if step % 5 == 0:
            values = {"train/loss": offset + 2 / step, "val/loss": offset + 3 / step}
            made.append((step, epoch, {**values, "val/score": math.inf} if step == 5 else values))
    return made


def _drawing() -> Drawing:
    drawing = Drawing(figsize=(3, 2))
    drawing.subplots().plot([1, 2, 3], [3, 1, 2])
    return drawing


def _pixels(drawing: Drawing) -> bytes:
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="raw", dpi=50)
    return buffer.getvalue()


def _logger(subject: Subject, directory: Path) -> Logger:
    directory.mkdir(exist_ok=True)
    logger: Logger = subject.build(directory)
    return logger


def _run(subject: Subject, directory: Path, records: Sequence[Record], step: int = 0, status: str = "finished") -> None:
    """A run from ``step`` on, with a figure at its end, by a logger of its own.

    Raises:
        Broken: if a method raises.
    """
    logger, doing = _logger(subject, directory), "start"
    try:
        logger.start(RECIPE, COLUMNS, step)
        for at, epoch, values in records:
            doing = f"log of {values} at step {at}"
            logger.log(values, step=at, epoch=epoch)
        doing = "figure"
        logger.figure("curves", _drawing(), step=records[-1][0] if records else step)
        doing = "finish"
        logger.finish(status)
    except Exception as error:
        raise Broken(f"{doing} raised {cause_of(error)}") from error


def _read(subject: Subject, directory: Path, what: str) -> Seen:
    """The scalars that a record holds, by step and name.

    Raises:
        NotApplicable: if the example does not say how it is read.
    """
    read = subject.promised(LoggerExample).read
    if read is None:
        raise NotApplicable("its example does not say how its record is read")
    found: Seen = {}
    for row in read(directory):
        for name in (column for column in COLUMNS if column in row):
            place = (int(row["step"]), name)
            ensure(place not in found, f"{what} there is '{name}' of step {place[0]} twice, first {found.get(place)}")
            found[place] = float(row[name])
    return found


def _ensure_recorded(seen: Seen, records: Sequence[Record], what: str) -> None:
    """What is not finite may be left out, as not every format holds it."""
    expected = {(step, name): value for step, _, values in records for name, value in values.items()}
    for (step, name), value in expected.items():
        found = seen.get((step, name))
        if found is None and not math.isfinite(value):
            continue
        ensure(found is not None, f"{what} there is no '{name}' of step {step}")
        ensure(np.isclose(found or 0.0, value, rtol=1e-5), f"{what} '{name}' of step {step} is {found}, not {value}")
    for step, name in seen:
        ensure((step, name) in expected, f"{what} there is '{name}' of step {step}, {seen[step, name]}")


@promise("logger")
def check_whole_run(subject: Subject) -> None:
    """It takes whatever a run records: some of the scalars at a time, two records at a step, values that are not
    finite, figures; an error in it would end the training."""
    status = {"finished": 7, "interrupted": 12, "failed": 1}
    for number, (name, last) in enumerate(status.items()):
        _run(subject, subject.folder / f"run{number}", _records(1, last), status=name)
    nan = [(1, 1, {"train/loss": math.nan}), (2, 1, {"train/loss": -math.inf}), (3, 1, {})]
    _run(subject, subject.folder / "diverged", nan, status="failed")


@promise("logger")
def check_values(subject: Subject) -> None:
    """What was recorded can be read again, every scalar at its step (at least in float32)."""
    records = _records(1, 12)
    _run(subject, subject.folder / "run", records)
    what = "in the record"
    _ensure_recorded(_read(subject, subject.folder / "run", what), records, what)


@promise("logger")
def check_resume(subject: Subject) -> None:
    """Going on from a step, it keeps what was recorded up to there and drops the rest, which is recorded again; from
    step 0, where a run was stopped before its first checkpoint, it drops everything. A record that is lost is no
    error."""
    directory = subject.folder / "run"
    old, new = _records(1, 12), _records(9, 14, offset=10.0)
    _run(subject, directory, old, status="interrupted")
    _run(subject, directory, new, step=8)
    _run(subject, subject.folder / "lost", new, step=8)
    what = "resumed from step 8"
    _ensure_recorded(_read(subject, directory, what), [*_records(1, 8), *new], what)
    again = _records(1, 3, offset=20.0)
    _run(subject, directory, again)
    what = "started again from step 0"
    _ensure_recorded(_read(subject, directory, what), again, what)


@promise("logger")
def check_stays_in_its_directory(subject: Subject) -> None:
    """It writes in the run directory alone: that is what users copy, move and delete."""
    place = subject.folder / "working"
    place.mkdir()
    with standing_in(place):
        _run(subject, subject.folder / "run", _records(1, 7))
    found = [str(path.relative_to(subject.folder)) for path in subject.folder.rglob("*")]
    outside = [name for name in found if name.split(os.sep)[0] != "run" and name != "working"]
    ensure(not outside, f"it wrote {', '.join(sorted(outside))}, outside the run directory")


@promise("logger")
def check_finish_without_start(subject: Subject) -> None:
    """``finish`` does no harm where there was no ``start``: a run may fail before it."""
    logger = _logger(subject, subject.folder / "run")
    try:
        logger.finish("failed")
    except Exception as error:
        raise Broken(f"finish without start raised {cause_of(error)}") from error


@promise("logger")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It does not change what it is given: other loggers get the same scalars and figures."""
    logger = _logger(subject, subject.folder / "run")
    recipe, columns, values, drawing = {"name": "checked", "seed": 0}, [*COLUMNS], {"train/loss": 0.5}, _drawing()
    before = _pixels(drawing)
    logger.start(recipe, columns, 0)
    logger.log(values, step=1, epoch=1)
    logger.figure("curves", drawing, step=1)
    logger.finish("finished")
    ensure(recipe == {"name": "checked", "seed": 0}, f"it changed the recipe to {recipe}")
    ensure(columns == [*COLUMNS], f"it changed the columns to {columns}")
    ensure(values == {"train/loss": 0.5}, f"it changed the scalars to {values}")
    ensure(_pixels(drawing) == before, "it changed the figure")


@promise("logger")
def check_no_pickle(subject: Subject) -> None:
    """Nothing that it writes is a pickle: reading one runs whatever code it names."""
    directory = subject.folder / "run"
    _run(subject, directory, _records(1, 7))
    found = [path for path in directory.rglob("*") if path.is_file() and _is_pickle(path.read_bytes())]
    ensure(not found, f"{', '.join(str(path.relative_to(directory)) for path in found)} is a pickle")


def _is_pickle(data: bytes) -> bool:
    if not data.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return False
    try:
        return any(code.name == "STOP" for code, _, _ in pickletools.genops(data))
    except Exception:
        return False
