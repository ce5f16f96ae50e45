"""How the record is read, and calls of the verb, for contract checks."""

from __future__ import annotations

import atexit
import json
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stem_tracking.store import connect
from stemcore.testing import CommandExample, LoggerExample


def mlflow(folder: Path) -> LoggerExample:
    """By MLflow's client, in one database for all checks: to make one takes a second."""
    return LoggerExample(config={"tracking_uri": f"sqlite:///{_database()}"}, read=_history)


def runs(folder: Path) -> list[CommandExample]:
    """Two runs, one of which was killed before its first epoch."""
    for name, summary in (("first", {"status": "finished", "final": {"val/loss": 0.5}}), ("second", None)):
        run = folder / "runs" / name
        (run / "checkpoints").mkdir(parents=True)
        (run / "recipe.yaml").write_text(f"name: {name}\nmodel: {{type: tiny}}\n", encoding="utf-8")
        if summary is not None:
            (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    root = str(folder / "runs")
    both = [f"{root}/first", f"{root}/second"]
    wrong = [
        ["list", root, "--sort", "val/lost"],
        ["list", root, "--filter", "model.type"],
        [f"{root}/no"],
        ["compare", both[0]],
        ["show", root],
    ]
    return [
        CommandExample(label="list", arguments=[root, "--sort", "val/loss"], wrong=wrong),
        CommandExample(label="compare", arguments=["compare", *both]),
        CommandExample(label="show", arguments=["show", both[1]]),
    ]


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
