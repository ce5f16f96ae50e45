"""The product as a user meets it: the command line in an empty folder, on scans that a test writes there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from stemcore.cli.main import execute

ROOT = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What a call of ``stem`` left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


Stem = Callable[..., Said]
Recipes = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the test stands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stem(folder: Path, capsys: pytest.CaptureFixture[str]) -> Stem:
    """Runs ``stem`` in this process, without progress."""

    def call(*args: object) -> Said:
        capsys.readouterr()
        code = execute(["-q", *map(str, args)])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture
def refused(stem: Stem, folder: Path) -> Callable[..., list[str]]:
    """Runs ``stem`` and returns its error lines, having checked that it ends with 2, that stderr holds nothing but one
    line per problem, and that no file or folder was made, changed or removed."""

    def call(*args: object) -> list[str]:
        before = state_of(folder)
        said = stem(*args)
        assert said.code == 2, said
        assert said.out == ""
        assert said.lines
        assert all(line.startswith("error: ") for line in said.lines), said.err
        assert "Traceback" not in said.err
        assert state_of(folder) == before
        return [line.removeprefix("error: ") for line in said.lines]

    return call


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything under a folder, with size and time of change of the files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        found[str(path.relative_to(folder))] = (stat.st_size, stat.st_mtime_ns) if path.is_file() else (0, 0)
    return found


@pytest.fixture
def written(small: Recipes, folder: Path) -> Callable[..., Path]:
    """Writes the small recipe, changed as asked for, to ``small.yaml``."""

    def write(name: str = "small.yaml", **changes: Any) -> Path:
        path = folder / name
        path.write_text(yaml.safe_dump(small(**changes), sort_keys=False))
        return Path(name)

    return write


@pytest.fixture
def on(written: Callable[..., Path]) -> Callable[..., Path]:
    """Writes the small recipe for a scan of one's own (16 x 16 pixels: no binning, batches of 16)."""

    def write(path: Path | str, **changes: Any) -> Path:
        train = {"type": "hdf5", "path": str(path), **changes.pop("train", {})}
        data = {"train": train, "batch_size": 16, "transforms": {"input": ["log1p", "standardize"]}}
        return written(**{**changes, "data": {**data, **changes.get("data", {})}})

    return write


def environment(**changes: str) -> Mapping[str, str]:
    """The environment of a process of its own: one thread, nothing of this checkout on the path."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {**inherited, "OMP_NUM_THREADS": "1", **changes}
