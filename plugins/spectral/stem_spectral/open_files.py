"""Files with cubes that are open, and what is kept of them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from stem_spectral.cube_file import CubeFile
from stem_spectral.cube_formats import open_cubes, unreadable
from stemcore import UserError

MOST_OPEN = 64
MOST_HELD = 1 << 29
"""Bytes of files that can only be read as a whole; the last one is kept, however large."""


class OpenFiles:
    """Files opened when first needed, by each process for itself; those that were used longest ago are let go of."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._open: OrderedDict[Path, CubeFile] = OrderedDict()
        self._process = os.getpid()

    def file(self, path: Path) -> CubeFile:
        """The open file.

        Raises:
            UserError: if it is missing or damaged.
        """
        with self._lock:
            if self._process != os.getpid():
                self._start()
            if path not in self._open:
                self._open[path] = open_cubes(path)
            self._open.move_to_end(path)
            while len(self._open) > 1 and (len(self._open) > MOST_OPEN or self._held() > MOST_HELD):
                self._open.popitem(last=False)[1].close()
            return self._open[path]

    def read(self, path: Path, name: str, index: Any) -> np.ndarray:
        """A part of an array; where the file is mapped, a view of it.

        Raises:
            UserError: if it cannot be read.
            OSError: where storage failed in a way that may pass.
        """
        try:
            with self._lock:
                file = self.file(path)
                array = file.array(name)
                if file.exclusive:
                    return np.asarray(array[index])
            return np.asarray(array[index])
        except UserError:
            raise
        except Exception as error:
            raise unreadable(path, error) from error

    def close(self) -> None:
        """Lets go of all; they are opened again when needed."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()

    def _held(self) -> int:
        return sum(file.held for file in self._open.values())

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()
