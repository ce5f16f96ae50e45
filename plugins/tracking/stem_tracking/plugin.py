"""Runs among others: MLflow, and what the runs of a folder came to."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_loggers() -> dict[str, str]:
    """Records outside the run directory."""
    return {"mlflow": "stem_tracking.mlflow_logger:MlflowLogger"}


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs about many runs."""
    return {"runs": "stem_tracking.command:runs"}


@hookimpl
def stem_options() -> dict[str, str]:
    """MLflow beside the usual loggers."""
    return {"loggers/mlflow": "stem_tracking:options/loggers/mlflow.yaml"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "command/runs": "stem_tracking.examples:runs",
        "logger/mlflow": "stem_tracking.examples:mlflow",
    }
