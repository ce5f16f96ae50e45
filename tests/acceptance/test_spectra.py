"""The plugin for spectrum images: built, installed in a clean environment, tested by its own tests, trained with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "stem-spectra"


@pytest.fixture(scope="module")
def lab(built: Callable[..., Path], installed: Callable[..., object]):
    """An environment with stemcore and the example."""
    return installed(built(ROOT), built(EXAMPLE))


@pytest.fixture
def own_tests(tmp_path: Path) -> None:
    """The example's tests in the working folder."""
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(EXAMPLE / "pyproject.toml", tmp_path / "pyproject.toml")


@pytest.mark.usefixtures("own_tests")
def test_its_own_tests_pass(lab, tmp_path: Path) -> None:
    done = lab.run("python", "-m", "pytest", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_its_sample_is_shipped_and_applied(lab, tmp_path: Path) -> None:
    run = ("stem", "-q", "run", "spectra-denoise", "--output", "run", "--fast-dev-run")
    assert lab.run(*run, cwd=tmp_path).returncode == 0
    encoded = lab.run("stem", "encode", "run", "--out", "latents.npz", cwd=tmp_path)
    assert encoded.returncode == 0, encoded.stderr
    assert np.load(tmp_path / "latents.npz")["latents"].shape == (48, 48, 6)


@pytest.mark.slow
@pytest.mark.usefixtures("own_tests")
def test_it_denoises_better_than_principal_components(lab, tmp_path: Path) -> None:
    done = lab.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-m", "slow", "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
