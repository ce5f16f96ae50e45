"""Open HDF5 files, one handle per file and process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py

from stem_datasets.paths import check_file
from stemcore import UserError

MOST_OPEN = 64
"""Files held open at a time: a scan may be spread over more files than a process may open."""


class Handles:
    """HDF5 files opened for reading when first needed.

    Handles belong to the process that opened them: after a fork, and in a spawned process, files are opened anew.
    """

    def __init__(self) -> None:
        self._open: dict[Path, h5py.File] = {}
        self._datasets: dict[tuple[Path, str], h5py.Dataset] = {}
        self._process = os.getpid()

    def file(self, path: Path) -> h5py.File:
        """The open file.

        Raises:
            UserError: if it is missing, truncated, locked, or not HDF5.
        """
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
        if path not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._close(next(iter(self._open)))
            self._open[path] = opened(path)
        return self._open[path]

    def dataset(self, path: Path, name: str) -> h5py.Dataset:
        """A dataset of the file, found there once: looking it up again costs as much as decoding a pattern."""
        file = self.file(path)
        if (path, name) not in self._datasets:
            self._datasets[path, name] = file[name]
        return self._datasets[path, name]

    def close(self) -> None:
        """Closes every file; ``file`` opens them again."""
        for path in list(self._open):
            self._close(path)

    def _close(self, path: Path) -> None:
        self._datasets = {key: dataset for key, dataset in self._datasets.items() if key[0] != path}
        self._open.pop(path).close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_open": {}, "_datasets": {}, "_process": -1}


def opened(path: Path) -> h5py.File:
    """An HDF5 file opened for reading, with the filters of ``hdf5plugin`` at hand."""
    import hdf5plugin  # noqa: F401  importing it registers the filters

    check_file(path)
    try:
        # Locks are refused by many network file systems, where they would also be of no use to a reader.
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise UserError(_why_not(path, str(error)), where=str(path), hint=_what_then(str(error))) from error


def _why_not(path: Path, reason: str) -> str:
    if "truncated" in reason:
        return f"truncated: only {path.stat().st_size:,} bytes are there"
    if "signature not found" in reason:
        return "not an HDF5 file" if path.stat().st_size else "empty, not an HDF5 file"
    if "lock" in reason:
        return "locked: another program has it open for writing"
    return f"cannot be opened: {reason.splitlines()[0] if reason else 'no reason given'}"


def _what_then(reason: str) -> str:
    if "truncated" in reason:
        return "copy it again"
    if "signature not found" in reason:
        return "'hdf5' reads .h5 files, 'tensor' reads .pt, .npy and .npz"
    return "close it there" if "lock" in reason else "check it with h5ls or copy it again"
