"""The built-in records of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stemcore import hookimpl


@hookimpl
def stem_loggers() -> Mapping[str, str]:
    """A table and TensorBoard."""
    return {
        "csv": "stem_loggers.csv:CsvLogger",
        "tensorboard": "stem_loggers.tensorboard:TensorBoardLogger",
    }


@hookimpl
def stem_defaults() -> Mapping[str, Any]:
    """Both, unless a recipe says otherwise."""
    return {"loggers": ["csv", "tensorboard"]}


@hookimpl
def stem_examples() -> Mapping[str, str]:
    """How contract checks read the records."""
    return {
        "logger/csv": "stem_loggers.examples:csv",
        "logger/tensorboard": "stem_loggers.examples:tensorboard",
    }
