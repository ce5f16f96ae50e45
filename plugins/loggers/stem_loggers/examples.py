"""How the records are read, for contract checks: as their users would."""

from __future__ import annotations

import csv as table
import logging
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stemcore.testing import LoggerExample


def csv(folder: Path) -> LoggerExample:
    """By the module of the standard library."""
    return LoggerExample(read=_rows)


def tensorboard(folder: Path) -> LoggerExample:
    """By TensorBoard."""
    return LoggerExample(read=_scalars)


def _rows(directory: Path) -> list[dict[str, float]]:
    with (directory / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in table.DictReader(file)]


def _scalars(directory: Path) -> list[dict[str, float]]:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # It would tell of every record that was dropped.
    events = EventAccumulator(str(directory / "tensorboard"), {"scalars": 0}).Reload()
    found = [(tag, event) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
    return [{"step": event.step, tag: event.value} for tag, event in found]
