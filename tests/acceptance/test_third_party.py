"""A plugin of somebody else: built as a wheel, installed into a clean environment, found, validated, trained with."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "stem-tv"

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "0.3"
[project.entry-points.stemcore]
{points}
[tool.setuptools.packages.find]
where = ["src"]
"""
BROKEN = {
    "pyproject.toml": PYPROJECT.format(
        name="stem-broken", points='aaa_broken = "stem_broken.plugin"\nhalf = "stem_broken.half"'
    ),
    "src/stem_broken/__init__.py": "",
    "src/stem_broken/plugin.py": "import detector_driver\n",
    "src/stem_broken/half.py": """
from stemcore import hookimpl

@hookimpl
def stem_losses():
    return {"sharpness": "stem_broken.losses:Sharpness"}

@hookimpl
def stem_modles():
    return {"misspelt": "stem_broken.losses:Sharpness"}
""",
    "src/stem_broken/losses.py": "raise OSError('no licence server')\n",
}

RECIPE = """\
extends: stem4d-tv
stem: 1
name: trial
data:
  batch_size: 256
model: {latent_dim: 4, channels: [4, 8]}
loggers: [csv]
figures: null
metrics: null
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first plugin cannot be imported and whose second one is half right."""
    folder = tmp_path_factory.mktemp("stem-broken")
    for name, text in BROKEN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def lab(built: Callable[..., Path], installed: Callable[..., object], broken: Path):
    """An environment with stemcore, the example and the broken distribution, all from wheels."""
    return installed(built(ROOT), built(EXAMPLE), built(broken))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trial.yaml").write_text(RECIPE)
    return tmp_path


def test_it_is_listed_and_what_is_broken_beside_it_is_named(lab, folder: Path) -> None:
    done = lab.run("stem", "plugins", "list", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    entries = {(e["kind"], e["name"]): e for e in found["components"]}
    mine = entries["loss", "total_variation"]
    assert (mine["plugin"], mine["distribution"], mine["version"]) == ("tv", "stem-tv", "0.1.0")
    assert entries["recipe", "stem4d-tv"]["plugin"] == "tv"
    assert entries["loss", "mse"]["distribution"] == "stemcore"
    causes = {t["plugin"]: t["cause"] for t in found["troubles"]}
    assert causes.keys() == {"aaa_broken", "half"}
    assert "ModuleNotFoundError: No module named 'detector_driver'" in causes["aaa_broken"]
    assert causes["half"] == "there is no hook 'stem_modles'; did you mean 'stem_models'?"
    helped = lab.run("stem", "--help", cwd=folder)
    assert helped.returncode == 0
    assert "aaa_broken (stem-broken)" in helped.stdout


def test_its_page_comes_from_its_signature_and_docstring(lab, folder: Path) -> None:
    done = lab.run("stem", "plugins", "show", "loss/tv/total_variation", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout)
    assert page["about"].startswith("Anisotropic total variation of the prediction")
    (eps,) = page["parameters"]
    assert (eps["name"], eps["type"], eps["default"]) == ("eps", "number >= 0", 0.0)
    assert "smooths the corner" in eps["description"]


def test_it_is_trained_with(lab, folder: Path) -> None:
    done = lab.run("stem", "run", "trial.yaml", "trainer.max_epochs=2", "--output", "out", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr
    with (folder / "out/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/total_variation"]]
    assert len(rows) == 2
    total = float(rows[0]["train/poisson_nll"]) + 1e-3 * float(rows[0]["train/total_variation"])
    assert float(rows[0]["train/loss"]) == pytest.approx(total, rel=1e-5)
    assert "tv/total_variation" not in (folder / "out/recipe.yaml").read_text()  # unambiguous: written bare
    plugins = json.loads((folder / "out/environment.json").read_text())["plugins"]
    assert plugins["tv"] == "stem-tv 0.1.0"


def test_it_is_validated_and_what_is_broken_is_named_with_its_cause_where_a_recipe_needs_it(lab, folder: Path) -> None:
    wrong = ["losses.total_variation.eps=-1", "losses.sharpness.weight=1", "losses.glow.weight=1"]
    done = lab.run("stem", "validate", "trial.yaml", *wrong, cwd=folder)
    assert done.returncode == 2
    order = ("eps", "sharpness", "glow")
    mine, sharpness, glow = sorted(done.stderr.splitlines(), key=lambda line: [word in line for word in order][::-1])
    assert "losses.total_variation.eps should be greater than or equal to 0, got -1" in mine
    assert "loss 'sharpness' of plugin 'half' (stem-broken) cannot be imported" in sharpness
    assert "OSError: no licence server" in sharpness
    assert "unknown loss 'glow'" in glow  # and who might have offered it
    assert "plugin 'aaa_broken' of stem-broken: ModuleNotFoundError: No module named 'detector_driver'" in glow


def test_a_plugin_can_be_switched_off(lab, folder: Path) -> None:
    off = {"STEM_DISABLE_PLUGINS": "tv,aaa_broken"}
    found = json.loads(lab.run("stem", "plugins", "--json", cwd=folder, **off).stdout)
    assert sorted(found["disabled"]) == ["aaa_broken", "tv"]
    assert "total_variation" not in {e["name"] for e in found["components"]}
    assert {t["plugin"] for t in found["troubles"]} == {"half"}
    done = lab.run("stem", "validate", "stem4d-quick", "losses.tv/total_variation.weight=1", cwd=folder, **off)
    assert done.returncode == 2
    assert "plugin 'tv' is switched off by STEM_DISABLE_PLUGINS" in done.stderr


def test_strict_makes_a_broken_plugin_fatal(lab, folder: Path) -> None:
    done = lab.run("stem", "plugins", cwd=folder, STEM_STRICT="1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 2
    assert "plugin 'aaa_broken' of stem-broken" in done.stderr
    calm = {"STEM_STRICT": "1", "STEM_DISABLE_PLUGINS": "aaa_broken,half"}
    assert lab.run("stem", "plugins", cwd=folder, **calm).returncode == 0
    assert lab.run("stem", "--help", cwd=folder, STEM_STRICT="1").returncode == 0


def test_its_own_tests_and_checks_pass(lab, folder: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    done = lab.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=folder)
    assert done.returncode == 0, done.stdout
    checked = lab.run("stem", "plugins", "check", "stem-tv", "loss/total_variation", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert "loss/total_variation" in checked.stdout
