"""Open HDF5 files, one handle per file and process."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stem_datasets.paths import check_file
from stemcore import UserError

MOST_OPEN = 64
"""Files held open at a time: a scan may be spread over more files than a process may open."""


class Scratch(threading.local):
    """One thread's memory, used again and again: fresh pages cost more than decoding into them."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def take(self, name: str, nbytes: int) -> np.ndarray:
        """Bytes (nbytes,), whatever was in them."""
        array = self._arrays.get(name)
        if array is None or len(array) < nbytes:
            array = self._arrays[name] = np.empty(nbytes, np.uint8)
        return array[:nbytes]


@dataclass(frozen=True)
class Descriptor:
    """An open file's number, and whether it stays open."""

    number: int
    stays: bool

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *error: object) -> None:
        if not self.stays:
            os.close(self.number)


class Handles:
    """Files opened for reading when first needed: as HDF5 files, which one thread at a time may use, and by their
    descriptors, which many may.

    Handles belong to the process that opened them: after a fork, and in a spawned process, files are opened anew.

    Attributes:
        lock: to be held by whoever uses an HDF5 file.
        scratch: memory of each thread.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.lock = threading.RLock()
        self.scratch = Scratch()
        self._open: dict[Path, h5py.File] = {}
        self._datasets: dict[tuple[Path, str], h5py.Dataset] = {}
        self._descriptors: dict[Path, Descriptor] = {}
        self._process = os.getpid()

    def file(self, path: Path) -> h5py.File:
        """The open file.

        Raises:
            UserError: if it is missing, truncated, locked, or not HDF5.
        """
        with self.lock:
            self._own()
            if path not in self._open:
                if len(self._open) >= MOST_OPEN:
                    self._close(next(iter(self._open)))
                self._open[path] = opened(path)
            return self._open[path]

    def dataset(self, path: Path, name: str) -> h5py.Dataset:
        """A dataset of the file, found there once: looking it up again costs as much as decoding a pattern."""
        with self.lock:
            file = self.file(path)
            if (path, name) not in self._datasets:
                self._datasets[path, name] = file[name]
            return self._datasets[path, name]

    def descriptor(self, path: Path) -> Descriptor:
        """The file's descriptor, for ``with``: one that stays open, or, where too many are, one for this time."""
        found = self._descriptors.get(path)
        if found is not None and self._process == os.getpid():
            return found
        with self.lock:
            self._own()
            if path not in self._descriptors:
                stays = len(self._descriptors) < MOST_OPEN
                opened = Descriptor(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), stays)
                if not stays:
                    return opened
                self._descriptors[path] = opened
            return self._descriptors[path]

    def close(self) -> None:
        """Closes every file; ``file`` opens them again."""
        with self.lock:
            for path in list(self._open):
                self._close(path)
            for descriptor in self._descriptors.values():
                os.close(descriptor.number)
            self._descriptors.clear()

    def _own(self) -> None:
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()

    def _close(self, path: Path) -> None:
        self._datasets = {key: dataset for key, dataset in self._datasets.items() if key[0] != path}
        self._open.pop(path).close()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()


def opened(path: Path) -> h5py.File:
    """An HDF5 file opened for reading, with the filters of ``hdf5plugin`` at hand."""
    import hdf5plugin  # noqa: F401  importing it registers the filters

    check_file(path)
    try:
        # Locks are refused by many network file systems, where they would also be of no use to a reader.
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise UserError(_why_not(path, str(error)), where=str(path), hint=_what_then(str(error))) from error


def errno_of(error: Exception) -> int | None:
    """The system's error number behind an error of HDF5, which names it in its message."""
    number = getattr(error, "errno", None)
    if number is None and (named := re.search(r"errno = (\d+)", str(error))):
        number = int(named[1])
    return number


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
