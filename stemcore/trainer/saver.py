"""Checkpoints on their way to the disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from stemcore.files import write_atomically
from stemcore.trainer import checkpoint

LEAST_SECONDS = 5.0


class Saver:
    """Writes checkpoints, each under one name or several.

    Where epochs take fractions of a second, writing each of them would take longer than the training: what comes within
    ``least_seconds`` of the last write is held in memory, and only what has not been outdone by then is written. A
    process that is killed loses no more than that; one that ends in any other way loses nothing, if :meth:`flush` is
    called.

    Args:
        folder: of the checkpoints.
        least_seconds: between two writes.
    """

    def __init__(self, folder: Path, least_seconds: float = LEAST_SECONDS) -> None:
        self.folder, self.least_seconds = folder, least_seconds
        self._held: dict[str, Mapping[str, Any]] = {}
        self._written = float("-inf")

    def put(self, make: Callable[[], Mapping[str, Any]], names: Iterable[str], *, now: bool) -> None:
        """Takes a checkpoint.

        Args:
            make: its contents, which may share memory with what training changes.
            names: of its files; each replaces what had that name.
            now: whether it is written at once, with all that is held.
        """
        due = now or time.monotonic() - self._written >= self.least_seconds
        contents = make() if due else _copied(make())
        self._held |= dict.fromkeys(names, contents)
        if due:
            self.flush()

    def drop(self, name: str) -> None:
        """Lets go of a checkpoint."""
        self._held.pop(name, None)
        (self.folder / name).unlink(missing_ok=True)

    def flush(self) -> None:
        """Writes what is held. A file is replaced and never changed, so that one checkpoint under several names is one
        file, which costs neither time nor room."""
        first: dict[int, Path] = {}
        for name, contents in self._held.items():
            path = self.folder / name
            source = first.setdefault(id(contents), path)
            if source is path:
                checkpoint.save(path, contents)
            else:
                write_atomically(path, partial(_link, source))
        self._held = {}
        self._written = time.monotonic()


def _link(source: Path, target: Path) -> None:
    """A further name for a file, or a copy where the file system has no such names."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _copied(value: Any) -> Any:
    """The same nest of dicts and lists, with tensors in memory of their own."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    return value
