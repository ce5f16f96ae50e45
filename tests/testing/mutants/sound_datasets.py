"""Data sets that keep every promise: a file with a header, one without, a folder, spectra made up, and none at all."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from pydantic import Field

from stemcore import Dataset, FieldSpec, UserError
from stemcore.testing import DatasetExample

HEADER = struct.Struct("<8sIII")
MAGIC = b"FRAMES01"
COUNTS = np.random.default_rng(0).poisson(3, (30, 6, 5)).astype("<u2")


class Frames(Dataset):
    """Frames of a detector in a file of their own: a header, then counts.

    Args:
        path: the file.
        columns: of the scan.
    """

    def __init__(self, *, path: Path, columns: Annotated[int, Field(ge=1)] = 5) -> None:
        self.path, self.columns = path, columns
        self._file: BinaryIO | None = None
        self.count, *self.image = self.header()
        if self.count % columns:
            raise UserError(f"{self.count} frames do not fill rows of {columns}", where=str(path))
        self.close()

    def file(self) -> BinaryIO:
        if self._file is None:
            self._file = self.path.open("rb")
        return self._file

    def header(self) -> tuple[int, int, int]:
        try:
            magic, *shape = HEADER.unpack(self.file().read(HEADER.size))
            whole = self.path.stat().st_size
        except (OSError, struct.error) as error:
            raise UserError(f"no frames can be read: {error}", where=str(self.path)) from error
        if magic != MAGIC or whole != HEADER.size + 2 * int(np.prod(shape)):
            raise UserError("no file of frames, or damaged", where=str(self.path))
        return tuple(shape)

    def __len__(self) -> int:
        return self.count

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        shape = (1, *self.image)
        return {"input": FieldSpec("input", shape, "uint16"), "mask": FieldSpec("mask", shape, "bool", like="input")}

    def frames(self, indices: np.ndarray) -> np.ndarray:
        frames = np.empty((len(indices), 1, *self.image), np.uint16)
        size = frames[:1].nbytes if len(indices) else 0
        for place, item in enumerate(indices):
            self.file().seek(HEADER.size + int(item) * size)
            frames[place, 0] = np.frombuffer(self.file().read(size), "<u2").reshape(self.image)
        return frames

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        frames = self.frames(indices)
        return {"input": frames, "mask": frames < 8}

    def blocks(self) -> Sequence[np.ndarray]:
        return np.array_split(np.arange(self.count), -(-self.count // 4))

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        return (self.count // self.columns, self.columns)

    @property
    def groups(self) -> np.ndarray | None:
        return np.arange(self.count) // 10

    @property
    def files(self) -> Sequence[Path]:
        return (self.path,)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def frames(folder: Path) -> list[DatasetExample]:
    path = folder / "scan.frames"
    path.write_bytes(HEADER.pack(MAGIC, *COUNTS.shape) + COUNTS.tobytes())
    config = {"path": str(path)}
    return [DatasetExample(config=config, broken={"rows that are not full": {**config, "columns": 7}})]


class HeaderlessFrames(Frames):
    """Frames in a file without a header: any bytes are frames, half a file is half of them.

    Args:
        path: the file.
        columns: of the scan.
    """

    thread_safe = True

    def header(self) -> tuple[int, int, int]:
        if not self.path.is_file():
            raise UserError("there is no such file", where=str(self.path))
        return self.path.stat().st_size // 60 // self.columns * self.columns, 6, 5

    def frames(self, indices: np.ndarray) -> np.ndarray:
        stored = np.fromfile(self.path, "<u2", self.count * 30).reshape(-1, 1, 6, 5)
        return stored[np.asarray(indices, np.int64)].astype(np.uint16)


def headerless(folder: Path) -> list[DatasetExample]:
    (folder / "scan.raw").write_bytes(COUNTS.tobytes())
    return [DatasetExample(config={"path": str(folder / "scan.raw"), "columns": 1})]


class Folder(Dataset):
    """An .npy file for each item.

    Args:
        path: their folder.
    """

    def __init__(self, *, path: Path) -> None:
        if not path.is_dir():
            raise UserError("there is no such folder", where=str(path))
        self.names = sorted(path.glob("*.npy"))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        return {"input": FieldSpec("input", (1, 6, 5), "uint16")}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        read = [np.load(self.names[int(item)]) for item in indices]
        return {"input": np.array(read, np.uint16).reshape(-1, 1, 6, 5)}

    def fingerprint(self) -> str:
        return hashlib.sha256(b"".join(name.read_bytes() for name in self.names)).hexdigest()


def folder_of_items(folder: Path) -> list[DatasetExample]:
    (folder / "scan").mkdir()
    for number, counts in enumerate(COUNTS[:7]):
        np.save(folder / "scan" / f"{number}.npy", counts)
    return [DatasetExample(config={"path": str(folder / "scan")})]


class Pairs(Dataset):
    """Spectra and tables of two instruments, with the places of peaks, as many as an item has.

    Args:
        items: how many.
    """

    def __init__(self, *, items: Annotated[int, Field(ge=0)] = 40) -> None:
        self.items = items

    def __len__(self) -> int:
        return self.items

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        return {
            "input_a": FieldSpec("input_a", (1, 512)),
            "input_b": FieldSpec("input_b", (20,), "float64", finite=False),
            "peaks": FieldSpec("peaks", (None, 2)),
            "label": FieldSpec("label", (), "int64"),
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        item = np.asarray(indices, np.int64)[:, None]
        spectra = np.sin(item * np.arange(512) / 100).astype(np.float32)
        table = np.where((item + np.arange(20)) % 6 == 0, np.nan, np.cos(item + np.arange(20)))
        most = int(item.max(initial=0)) % 5
        peaks = np.zeros((len(item), most, 2), np.float32)
        return {"input_a": spectra[:, None], "input_b": table, "peaks": peaks, "label": item[:, 0].copy()}


def no_items(folder: Path) -> list[DatasetExample]:
    return [DatasetExample(config={"items": 0})]


def pairs(folder: Path) -> list[DatasetExample]:
    return [DatasetExample(broken={})]


def locked(path: Path) -> bool:
    """Whether a lock beside the file could be taken."""
    try:
        os.close(os.open(f"{path}.lock", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


SOUND = [
    (Frames, frames),
    (HeaderlessFrames, headerless),
    (Folder, folder_of_items),
    (Pairs, pairs),
    (Pairs, no_items),
]
