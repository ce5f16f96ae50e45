"""The wheel, installed outside the checkout, runs a shipped recipe from an empty folder."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import copied, done

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [
    "stemcore/py.typed",
    "stem_datasets/samples/ws2_wse2_32.h5",
    "stem_datasets/samples/README.md",
    *(f"stem_recipes/recipes/{path.name}" for path in (ROOT / "plugins/recipes/stem_recipes/recipes").glob("*.yaml")),
]


@pytest.fixture(scope="module")
def plain(built: Callable[..., Path], installed: Callable[..., object]):
    """An environment with the core's wheel alone."""
    return installed(built(ROOT))


def test_the_wheel_holds_everything_and_nothing_besides(built: Callable[..., Path]) -> None:
    wheel = zipfile.ZipFile(built(ROOT))
    names = set(wheel.namelist())
    assert set(SHIPPED) <= names
    packages = [ROOT / "stemcore", *(ROOT / "plugins").glob("*/stem_*")]
    modules = {str(m.relative_to(package.parent)) for package in packages for m in package.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    (information,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert wheel.read(f"{information}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    points = wheel.read(f"{information}/entry_points.txt").decode()
    assert "stem = stemcore.cli.main:main" in points
    assert all(f"stem_{package.parent.name}.plugin" in points for package in packages[1:])
    sample = "stem_datasets/samples/ws2_wse2_32.h5"
    assert wheel.read(sample) == (ROOT / "plugins/datasets" / sample).read_bytes()
    assert sum(entry.compress_size for entry in wheel.infolist()) < 4e6


def test_the_source_distribution_builds_the_same_wheel(built: Callable[..., Path], tmp_path: Path) -> None:
    copied(ROOT, tmp_path / "source")
    done(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, tmp_path / "source")
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / "LICENSE").is_file()
    assert set(zipfile.ZipFile(built(unpacked)).namelist()) == set(zipfile.ZipFile(built(ROOT)).namelist())


def test_it_runs_a_shipped_recipe_from_an_empty_folder(plain, tmp_path: Path) -> None:
    ran = plain.run("stem", "run", "stem4d-quick", "--fast-dev-run", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    directory = tmp_path / ran.stdout.splitlines()[0]
    assert directory.parent == tmp_path / "runs" / "stem4d-quick"
    pictures = [tmp_path / line for line in ran.stdout.splitlines() if line.endswith(".png")]
    assert {"loss.png", "latent_maps_epoch001.png", "reconstruction_epoch001.png"} == {p.name for p in pictures}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    environment = json.loads((directory / "environment.json").read_text())
    assert all(Path(file).is_relative_to(plain.folder) for file in environment["data"]["files"])


@pytest.mark.slow
def test_it_trains_a_shipped_recipe_to_the_end(plain, tmp_path: Path) -> None:
    ran = plain.run("stem", "run", "stem4d-quick", "--output", "out", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["status"] == "finished"
    scored = plain.run("stem", "evaluate", "out", "--json", "-q", cwd=tmp_path)
    scores = json.loads(scored.stdout)["scores"]
    assert list(scores) == ["model", "zeros", "mean", "pca32"]
    assert scores["model"]["expected_error"] < scores["mean"]["expected_error"]
