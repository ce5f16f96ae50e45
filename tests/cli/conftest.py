"""The command line in this process and in processes of its own, with plugin distributions made for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from stemcore.plugins.catalogue import catalogue

ROOT = Path(__file__).resolve().parents[2]
Distribution = Callable[..., Path]
Stem = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribution]:
    """Makes an installed distribution: its metadata and its modules in a folder that is searched for imports."""
    modules: list[str] = []

    def make(name: str, points: Mapping[str, str], files: Mapping[str, str], version: str = "2.5") -> Path:
        folder = tmp_path / f"site-{name}"
        information = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{point} = {module}" for point, module in points.items()]
        (information / "entry_points.txt").write_text("[stemcore]\n" + "\n".join(lines) + "\n")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
            modules.append(path.split("/")[0].removesuffix(".py"))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        catalogue.cache_clear()
        return folder

    yield make
    for loaded in [m for m in sys.modules if m.split(".")[0] in modules]:
        del sys.modules[loaded]
    catalogue.cache_clear()


@pytest.fixture
def stem() -> Stem:
    """Runs ``stem`` in a process of its own."""

    def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stemcore.cli", *args]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)])}
        given = {"env": environment, "text": True, "capture_output": True, "timeout": 120, **options}
        return subprocess.run(command, check=False, **given)

    return run


VERBS = {
    "lab_verbs/__init__.py": "",
    "lab_verbs/plugin.py": """
from stemcore import hookimpl

@hookimpl
def stem_commands():
    return {"measure": "lab_verbs.measure:measure", "run": "lab_verbs.measure:measure",
            "broken": "lab_verbs.broken:verb", "plain": "lab_verbs.measure:plain"}

@hookimpl
def stem_recipes():
    return {"lab-recipe": "lab_verbs:recipes/lab.yaml", "lost": "lab_verbs:recipes/lost.yaml"}
""",
    "lab_verbs/measure.py": """
import click
from stemcore import Command, UserError, reporter

@click.command(cls=Command)
@click.argument("what")
def measure(what):
    '''Measure a thing.'''
    if what == "wrong":
        raise UserError("first", "second", where="lab.yaml:3", hint="mend it")
    if what == "crash":
        raise RuntimeError("out of\\nluck")
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "slowly":
        with reporter().task("things", 2) as task:
            task.advance(2)
    print(f"measured {what}")

@click.command()
def plain():
    '''Not a stemcore.Command.'''
""",
    "lab_verbs/broken.py": "raise ImportError('no camera driver')\n",
    "lab_verbs/recipes/lab.yaml": "# What the lab uses.\nstem: 1\nname: lab\n",
}


@pytest.fixture
def lab(distribution: Distribution) -> Path:
    """A distribution ``stem-lab`` with verbs, good and bad, and recipes."""
    return distribution("stem-lab", {"lab": "lab_verbs.plugin"}, VERBS)
