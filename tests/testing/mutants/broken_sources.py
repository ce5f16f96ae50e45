"""Data sets that treat the files behind them in a wrong way each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcore import UserError
from stemcore.testing import DatasetExample
from tests.testing.mutants import sound_datasets
from tests.testing.mutants.sound_datasets import HEADER, Frames, frames


class LeftOpen(Frames):
    def close(self):
        self._file = None if self._file is None else self._file  # forgotten


class Mapped(Frames):
    def frames(self, indices):
        if not hasattr(self, "map"):
            self.map = np.memmap(self.path, "<u2", "r", HEADER.size, (self.count, 1, *self.image))
        return np.array(self.map[indices])


class ClosedOnce(Frames):
    def close(self):
        self._file.close()
        self._file = None


class ClosedForGood(Frames):
    def close(self):
        if self._file is not None:
            self._file.close()


class WhateverTheFileRaises(Frames):
    def header(self):
        with self.path.open("rb") as file:
            return HEADER.unpack(file.read(HEADER.size))[1:]


class MissingIsTold(WhateverTheFileRaises):
    def header(self):
        if not self.path.exists():
            raise UserError("there is no such file", where=str(self.path))
        return super().header()


class FoldersAreTold(WhateverTheFileRaises):
    def header(self):
        if not self.path.is_file():
            raise UserError("there is no such file", where=str(self.path))
        return super().header()


class Lazy(Frames):
    def header(self):
        return 30, 6, 5

    def frames(self, indices):
        Frames.header(self)
        return super().frames(indices)


class LazyAboutContent(Lazy):
    def header(self):
        if not self.path.exists():
            raise UserError("there is no such file", where=str(self.path))
        return super().header()


class NeverMindTheSize(Frames):
    def header(self):
        try:
            magic, *shape = HEADER.unpack(self.path.read_bytes()[: HEADER.size])
        except Exception as error:
            raise UserError(str(error)) from error
        if magic != sound_datasets.MAGIC:
            raise UserError("no file of frames", where=str(self.path))
        return tuple(shape)


class AnyColumns(Frames):
    def __init__(self, *, path: Path, columns: int = 5) -> None:
        super().__init__(path=path, columns=1)


def fingerprinted(make) -> type[Frames]:
    return type("Fingerprinted", (Frames,), {"fingerprint": make})


class NoFiles(Frames):
    @property
    def files(self):
        return ()


class WithCalibration(Frames):
    """Forgets its second file in the fingerprint."""

    @property
    def files(self):
        return (self.path, self.path.with_suffix(".gain"))

    def fingerprint(self):
        return str(self.path.read_bytes())


def with_calibration(folder: Path) -> list[DatasetExample]:
    (folder / "scan.gain").write_text("1.5")
    return frames(folder)


class SamePath(Frames):
    @classmethod
    def elsewhere(cls, path, /, **arguments):
        return cls(**arguments)


class NotThere(Frames):
    @classmethod
    def elsewhere(cls, path, /, **arguments):
        path.stat()
        return super().elsewhere(path, **arguments)


class OnlyItsOwnPath(Frames):
    @classmethod
    def elsewhere(cls, path, /, **arguments):
        raise UserError("it does not read other data")


class FromTheSecond(Frames):
    @classmethod
    def elsewhere(cls, path, /, **arguments):
        found = cls(**{**arguments, "path": path})
        frames = found.frames
        found.frames = lambda indices: frames(np.asarray(indices) + 1)
        return found
