"""Scalars and figures for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from stemcore import Logger

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FOLDER = "tensorboard"


class TensorBoardLogger(Logger):
    """Event files in ``tensorboard/``: scalars and figures over optimizer steps, the recipe as text."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._writer: SummaryWriter | None = None

    def start(self, recipe: Mapping[str, Any], columns: Sequence[str], step: int) -> None:
        """Opens an event file. TensorBoard hides what older files hold after ``step``, which may be 0: a run that was
        stopped before its first checkpoint begins anew."""
        self.finish("restarted")
        _wait_for_a_later_name(self.directory / FOLDER)
        self._writer = SummaryWriter(str(self.directory / FOLDER), purge_step=step + 1)
        if step == 0:
            text = json.dumps(recipe, indent=2, default=str)
            # Four spaces in front make it a code block in TensorBoard's markdown.
            self._writer.add_text("recipe", "\n".join(f"    {line}" for line in text.splitlines()), 0)

    def log(self, values: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Adds scalars, and the epoch as a scalar of its own."""
        writer = self._open()
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.add_scalar("epoch", epoch, step)
        writer.flush()

    def figure(self, name: str, drawing: Drawing, *, step: int) -> None:
        """Adds a figure as an image. It stays open: other loggers may draw it too."""
        self._open().add_figure(name, drawing, step, close=False)

    def finish(self, status: str) -> None:
        """Closes the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            raise RuntimeError("log() or figure() before start()")
        return self._writer


def _wait_for_a_later_name(folder: Path) -> None:
    """TensorBoard reads event files in the order of their names, which begin with the second of their making: of two
    that were made in one, the newer might come first, and be hidden by what it is to hide."""
    seconds = [
        int(part) for file in folder.glob("events.out.tfevents.*") if (part := file.name.split(".")[3]).isdigit()
    ]
    wait = max(seconds, default=0) + 1 - time.time()
    if 0 < wait <= 1:
        time.sleep(wait)
