"""A new plugin of every kind: built, installed in a clean environment, tested by its own tests, and trained with."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stemcore.component.kinds import FILES, KINDS

ROOT = Path(__file__).resolve().parents[2]
Work = Callable[..., None]


@pytest.fixture
def works(built: Callable[..., Path], installed: Callable[..., object], tmp_path: Path) -> Work:
    """Goes the way of an author, in an environment with stemcore's wheel."""

    def go(*kinds: str) -> None:
        lab = installed(built(ROOT))
        options = [part for kind in kinds for part in ("--kind", kind)]
        made = lab.run("stem", "new", "plugin", "my-lab", *options, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        lab.install(built(tmp_path / "my-lab"))
        tested = lab.run("python", "-m", "pytest", "my-lab", "-p", "no:cacheprovider", cwd=tmp_path)
        assert tested.returncode == 0, tested.stdout
        # All of its checks were made by its tests already.
        checked = lab.run("stem", "plugins", "check", "my-lab", "recipe/my-lab-demo", cwd=tmp_path, STEM_STRICT="1")
        assert checked.returncode == 0, checked.stdout
        run = lab.run("stem", "-q", "run", "my-lab-demo", "--output", "demo", cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        with (tmp_path / "demo" / "metrics.csv").open() as file:
            losses = [float(row["val/poisson_nll"]) for row in csv.DictReader(file) if row["val/poisson_nll"]]
        assert losses[-1] < losses[0]
        requires = (tmp_path / "demo" / "recipe.yaml").read_text().partition("requires: ")[2].splitlines()[0]
        assert ("my-lab>=0.1.0" in requires) == bool(set(kinds) - set(FILES))

    return go


def test_a_plugin_with_a_component_of_every_kind(works: Work) -> None:
    works(*KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_of_each_kind(works: Work, kind: str) -> None:
    works(kind)


@pytest.mark.slow
def test_the_line_of_the_tutorial_as_it_is_typed(built: Callable[..., Path], installed, tmp_path: Path) -> None:
    """With pip resolving by itself; it needs an index for the build's setuptools."""
    lab = installed(built(ROOT))
    assert lab.run("stem", "new", "plugin", "my-lab", "--kind", "dataset", cwd=tmp_path).returncode == 0
    pip = lab.run(
        sys.executable, "-m", "pip", "--python", lab.folder / "bin/python", "install", "./my-lab", cwd=tmp_path
    )
    if pip.returncode and "Could not find a version" in pip.stderr:
        pytest.skip("needs a package index")
    assert pip.returncode == 0, pip.stderr
    assert lab.run("python", "-m", "pytest", "my-lab", cwd=tmp_path).returncode == 0
    assert lab.run("stem", "run", "my-lab-demo", cwd=tmp_path).returncode == 0
