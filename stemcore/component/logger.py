"""Loggers: where scalars and figures are recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class Logger(ABC):
    """A record of a run. Only the first process of several calls it.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, recipe: Mapping[str, Any], columns: Sequence[str], step: int) -> None:
        """Begins, or goes on from ``step``: what was recorded after that step is to be dropped. ``columns`` are the
        names of all scalars to come."""

    @abstractmethod
    def log(self, values: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Records scalars at an optimizer step of an epoch (counted from 1)."""

    def figure(self, name: str, drawing: Drawing, *, step: int) -> None:
        """Records a figure."""

    def finish(self, status: str) -> None:
        """Ends the record; ``status`` is ``finished``, ``interrupted`` or ``failed``."""
