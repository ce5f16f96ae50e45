"""Data sets that read, or tell of themselves, in a wrong way each."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stemcore import FieldSpec, UserError
from tests.testing.mutants.sound_datasets import Frames, locked


class HalfAnItem(Frames):
    def __len__(self) -> int:
        return 7.5


class Growing(Frames):
    def read(self, indices):
        self.count += 1
        return super().read(indices)


def declaring(**specs: Any) -> type[Frames]:
    """Frames that declare other fields; those that are ``None`` are left out."""

    class Declaring(Frames):
        @property
        def fields(self) -> Mapping[str, FieldSpec]:
            return {name: spec for name, spec in {**super().fields, **specs}.items() if spec is not None}

    return Declaring


class ListOfFields(Frames):
    @property
    def fields(self):
        return list(super().fields.values())


def returning(change) -> type[Frames]:
    """Frames that return something else of what was read."""

    class Returning(Frames):
        def read(self, indices):
            return change(super().read(indices))

    return Returning


class OneFileForAll(Frames):
    """Seeks and reads in a file that its threads share."""

    thread_safe = True

    def frames(self, indices):
        found = np.empty((len(indices), 1, *self.image), np.uint16)
        for place, item in enumerate(indices):
            self.place = int(item)
            time.sleep(0.0002)
            found[place] = super().frames(np.array([self.place]))
        return found


class FirstComeFirstServed(Frames):
    """Refuses a second reader."""

    thread_safe = True

    def __init__(self, *, path: Path) -> None:
        super().__init__(path=path)
        self.busy = False

    def read(self, indices):
        if self.busy:
            raise RuntimeError("is being read")
        self.busy = True
        time.sleep(0.001)
        rows = super().read(indices)
        self.busy = False
        return rows


class HalfInto(Frames):
    def read_into(self, indices, out):
        out["input"][...] = super().read(indices)["input"]


class RowsOfOthers(Frames):
    def read_rows(self, indices, out):
        for name, values in self.read(np.sort(indices)).items():
            for row, value in zip(out[name], values, strict=True):
                row[...] = value
        return True


class IntoItsOwn(Frames):
    def read_into(self, indices, out):
        return self.read(np.sort(indices), out)


class NothingOfNothing(Frames):
    def read(self, indices):
        return super().read(indices) if len(indices) else {"input": np.empty(0, np.uint16), "mask": np.empty(0, bool)}


class Stacked(Frames):
    def frames(self, indices):
        return np.concatenate([super(Stacked, self).frames(indices[k : k + 1]) for k in range(len(indices))])


class InFileOrder(Frames):
    def read(self, indices):
        return super().read(np.sort(indices))


class EachOnce(Frames):
    def read(self, indices):
        return super().read(indices[np.sort(np.unique(indices, return_index=True)[1])])


class Swapped(Frames):
    """Puts back in the wrong order: right for items that rise or fall."""

    def read(self, indices):
        order = np.argsort(indices, kind="stable")
        return {name: values[order] for name, values in super().read(indices[order]).items()}


class BytesOfIndices(Frames):
    def read(self, indices):
        return super().read(np.frombuffer(indices.tobytes(), np.int64))


class SortsIndices(Frames):
    def read(self, indices):
        rows = super().read(indices)
        indices.sort()
        return rows


class OneBuffer(Frames):
    def frames(self, indices):
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros((100, 1, *self.image), np.uint16)
        self.buffer[: len(indices)] = super().frames(indices)
        return self.buffer[: len(indices)]


class Remembering(Frames):
    def frames(self, indices):
        if not hasattr(self, "last") or not np.array_equal(self.last[0], indices):
            self.last = np.array(indices), super().frames(indices)
        return self.last[1]


class ReadOnly(Frames):
    def frames(self, indices):
        return np.frombuffer(super().frames(indices).tobytes(), np.uint16).reshape(-1, 1, *self.image)


def in_blocks(make) -> type[Frames]:
    """Frames in other blocks, made of the number of items."""

    class Blocks(Frames):
        def blocks(self) -> Sequence[np.ndarray]:
            return make(self.count)

    return Blocks


class Noisy(Frames):
    def frames(self, indices):
        frames = super().frames(indices)
        return frames + np.random.default_rng(id(self) // 16).integers(0, 100, frames.shape, np.uint16)


class BlocksInNoOrder(Frames):
    def blocks(self):
        blocks = super().blocks()
        np.random.default_rng().shuffle(first := list(range(len(blocks))))
        return [blocks[k] for k in first]


def with_scan(shape: Any) -> type[Frames]:
    return type("Scan", (Frames,), {"scan_shape": property(lambda self: shape)})


def with_groups(groups: Any) -> type[Frames]:
    return type("Groups", (Frames,), {"groups": property(lambda self: groups)})


class Database(Frames):
    def __init__(self, *, path: Path, columns: int = 5) -> None:
        super().__init__(path=path, columns=columns)
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE frames AS SELECT 1 AS gain")

    def read(self, indices):
        self.database.execute("SELECT gain FROM frames")
        return super().read(indices)

    def close(self) -> None:
        super().close()


class PerThread(Frames):
    def __init__(self, *, path: Path, columns: int = 5) -> None:
        super().__init__(path=path, columns=columns)
        self.local = threading.local()
        self.local.gain = 1

    def frames(self, indices):
        return super().frames(indices) + getattr(self.local, "gain", 0)


class PicklesItsFile(Frames):
    def __getstate__(self):
        return self.__dict__


class HalfAState(Frames):
    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name in ("path", "_file")} | {"_file": None}


class ClosedByPickling(Frames):
    def __getstate__(self):
        self._file.close()
        return super().__getstate__()


class Locking(Frames):
    def file(self):
        if self._file is None and not locked(self.path):
            raise UserError("another program reads it", where=str(self.path))
        return super().file()

    def close(self):
        super().close()
        Path(f"{self.path}.lock").unlink(missing_ok=True)


GAINS: dict[Path, int] = {}


class Registered(Frames):
    """Keeps in this process what reading needs."""

    def header(self):
        GAINS[self.path] = 2
        return super().header()

    def frames(self, indices):
        return super().frames(indices) * GAINS[self.path]


class InThisProcess(Registered):
    def frames(self, indices):
        return Frames.frames(self, indices) * GAINS.get(self.path, 1)


def with_values(change) -> type[Frames]:
    """Frames that tell of a field's values in a way of their own."""

    class Telling(Frames):
        def values(self, field):
            return change(self, field)

    return Telling


def unshaped(frames, field):
    return Frames.values(frames, field).reshape(len(frames), -1)


def backwards(frames, field):
    return Frames.values(frames, field)[::-1]


def held_alone(frames, field):
    return frames.read(np.arange(len(frames)))[field]


def anything(frames, field):
    return Frames.values(frames, field if field in frames.fields else "input")


def as_list(frames, field):
    return list(Frames.values(frames, field))
