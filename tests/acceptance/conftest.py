"""The product as a user meets it: the command line in an empty folder, on scans that a test writes there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


Built = Callable[..., Path]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds the wheel of a project from a copy of its folder, so that nothing is written into the checkout."""
    wheels: dict[str, Path] = {}

    def build(project: Path) -> Path:
        if str(project) not in wheels:
            folder = tmp_path_factory.mktemp("build")
            copied(project, folder / "source")
            pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
            done(*pip, "--wheel-dir", folder, folder / "source")
            wheels[str(project)] = next(folder.glob("*.whl"))
        return wheels[str(project)]

    return build


def copied(project: Path, folder: Path) -> None:
    """What a project is built from: its checkout without what tests, builds and runs have left in it."""
    parts = ("stemcore", "plugins", "src", "pyproject.toml", "README.md", "LICENSE")
    left = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")

    def ignored(place: str, names: list[str]) -> set[str]:
        # Tests stay behind, but for those that a template writes.
        return left(place, names) | ({"tests"} if "template" not in Path(place).parts else set())

    folder.mkdir()
    for part in (project / name for name in parts):
        if part.is_dir():
            shutil.copytree(part, folder / part.name, ignore=ignored)
        elif part.is_file():
            shutil.copyfile(part, folder / part.name)


class Installed(NamedTuple):
    """A virtual environment of its own, outside the checkout."""

    folder: Path

    @property
    def site(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def install(self, *wheels: Path) -> None:
        """Puts wheels into it, without what they depend on."""
        python = self.folder / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
        done(*pip, "--no-compile", *wheels)

    def run(self, *args: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment."""
        program, *rest = map(str, args)
        command = [str(self.folder / "bin" / program), *rest]
        options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 600}
        cache = str(self.folder / "cache")
        return subprocess.run(command, cwd=cwd, env=environment(STEM_CACHE_DIR=cache, **variables), **options)


Environment = Callable[..., Installed]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Makes a virtual environment with wheels in it.

    Torch and the other dependencies are those of the environment that runs the tests: its site-packages are appended to
    the path. An editable stemcore there works by a .pth file, which is not read from an appended folder.
    """

    def make(*wheels: Path) -> Installed:
        made = Installed(tmp_path_factory.mktemp("venv"))
        done(sys.executable, "-m", "venv", "--without-pip", made.folder)
        made.install(*wheels)
        others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (made.site / "dependencies.pth").write_text("\n".join(others) + "\n")
        where = made.run("python", "-c", "import stemcore; print(stemcore.__file__)", cwd=made.folder).stdout.strip()
        assert Path(where).is_relative_to(made.folder), where
        return made

    return make


def done(*command: object) -> None:
    """Runs a program that must succeed."""
    finished = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
