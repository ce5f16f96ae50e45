"""How the record is read, and calls of the verb, for contract checks."""

from __future__ import annotations

import atexit
import json
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stem_tracking.store import connect
from stemcore.testing import LoggerExample


def mlflow(folder: Path) -> LoggerExample:
    """By MLflow's client, in one database for all checks: to make one takes a second."""
    return LoggerExample(config={"tracking_uri": f"sqlite:///{_database()}"}, read=_history)


@cache
def _database() -> Path:
    folder = TemporaryDirectory(prefix="stem-mlflow-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name) / "mlflow.db"


def _history(directory: Path) -> list[dict[str, float]]:
    about = json.loads((directory / "mlflow.json").read_text(encoding="utf-8"))
    client = connect(about["tracking_uri"])
    keys = client.get_run(about["run_id"]).data.metrics
    found = [metric for key in keys for metric in client.get_metric_history(about["run_id"], key)]
    return [{"step": metric.step, metric.key: _infinite(metric.value)} for metric in found]


def _infinite(value: float) -> float:
    """MLflow's databases hold the largest double for an infinity."""
    largest = sys.float_info.max
    return float("inf") if value == largest else -float("inf") if value == -largest else value
