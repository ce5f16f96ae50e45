"""A file that HDF5 may fill while its disk fails."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any


class Disk(io.RawIOBase):
    """A new file, for h5py, that reports no error: it keeps the first one, and forgets what is written from then on.

    HDF5 cannot close a file that it cannot write: it keeps it open, tries again at the end of the process, and brings
    that down. Here it closes what it believes to be written, and ``check`` says what became of it.

    Args:
        part: where to write.
        path: the file's name in errors.
    """

    def __init__(self, part: Path, path: Path) -> None:
        super().__init__()
        self._path = path
        self._error: OSError | None = None
        self._file = part.open("w+b", buffering=0)
        self._at = self._end = 0

    def check(self) -> None:
        """Raises the first error, with its number and the file's name.

        Raises:
            OSError: if there was one.
        """
        if self._error is not None:
            number = self._error.errno
            raise OSError(number, os.strerror(number or 0), str(self._path)) from self._error

    def write(self, data: Any) -> int:
        """All of ``data``, or, after an error, nothing; in either case its length in bytes."""
        view = memoryview(data).cast("B")
        self._end = max(self._end, self._at + len(view))
        if self._error is None:
            try:
                self._write(view)
            except OSError as error:
                self._error = error
        self._at += len(view)
        return len(view)

    def _write(self, view: memoryview) -> None:
        self._file.seek(self._at)
        while len(view):
            view = view[self._file.write(view) :]  # less than all where the disk is nearly full

    def readinto(self, buffer: Any) -> int:
        """Fills ``buffer`` with what is stored, and with zeros where that is lost."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        self._at += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a place, in the file as HDF5 believes it to be."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Sets the length."""
        self._end = self._at if size is None else size
        if self._error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self._error = error
        return self._end

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Closes the file; network file systems may say only now that they could not write it."""
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        super().close()
