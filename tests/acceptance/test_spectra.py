"""The plugin for spectrum images: built, installed in a clean environment, tested by its own tests, trained with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "stem-spectra"


@pytest.fixture
def lab(built: Callable[..., Path], installed: Callable[..., object], tmp_path: Path):
    """An environment with stemcore and the example, and the example's tests in the working folder."""
    left = shutil.ignore_patterns("__pycache__")
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=left)
    shutil.copyfile(EXAMPLE / "pyproject.toml", tmp_path / "pyproject.toml")
    return installed(built(ROOT), built(EXAMPLE))


def test_its_own_tests_pass(lab, tmp_path: Path) -> None:
    done = lab.run("python", "-m", "pytest", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_its_sample_is_shipped_and_applied(lab, tmp_path: Path) -> None:
    run = ("stem", "-q", "run", "spectra-denoise", "--output", "run", "--fast-dev-run")
    assert lab.run(*run, cwd=tmp_path).returncode == 0
    encoded = lab.run("stem", "encode", "run", "--out", "latents.npz", cwd=tmp_path)
    assert encoded.returncode == 0, encoded.stderr
    shown = lab.run("python", "-c", "import numpy; print(numpy.load('latents.npz')['latents'].shape)", cwd=tmp_path)
    assert shown.stdout.strip() == "(48, 48, 6)"


@pytest.mark.slow
def test_it_denoises_better_than_principal_components(lab, tmp_path: Path) -> None:
    done = lab.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-m", "slow", "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
