"""What is deprecated, on stderr; and a run whose plugin is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

import stemcore
from stemcore.cli.main import execute
from stemcore.cli.warning_lines import warnings_in_lines
from stemcore.plugins.catalogue import catalogue

PLUGIN = """
from stemcore import hookimpl

@hookimpl
def stem_losses():
    return {"late_mse": "late_losses:Late"}
"""
LOSSES = """
from typing import Annotated
from pydantic import Field
from stemcore import Loss
from typing_extensions import deprecated

@deprecated("use 'mse'")
class Late(Loss):
    '''A mean square.'''

    def __init__(self, *, size: Annotated[float, Field(deprecated="it does nothing")] = 1.0):
        super().__init__()

    def forward(self, prediction, target):
        return (prediction - target).square().mean()
"""
WHO = "loss 'late_mse' of plugin 'late' (stem-late 2.5) is deprecated: use 'mse'"


@pytest.fixture
def late(distribution, small, tmp_path, monkeypatch):
    """The folder of a distribution with a deprecated loss; ``late.yaml`` in the current folder uses it."""
    site = distribution("stem-late", {"late": "late_plugin"}, {"late_plugin.py": PLUGIN, "late_losses.py": LOSSES})
    monkeypatch.chdir(tmp_path)
    recipe = small(trainer={"max_epochs": 1})
    recipe["losses"] = {"late_mse": {"weight": 2.0}}
    Path("late.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return site


@pytest.mark.parametrize("args", [["validate", "late.yaml"], ["-q", "validate", "late.yaml", "--resolved"]])
def test_one_line_each(late, args, capsys):
    line = 1 + Path("late.yaml").read_text().splitlines().index("  late_mse:")
    assert execute([*args, "losses.late_mse.size=2"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"warning: late.yaml:{line}: losses.late_mse: {WHO}",
        "warning: losses.late_mse.size=2 on the command line: losses.late_mse.size: 'size' of "
        "loss 'late_mse' of plugin 'late' (stem-late 2.5) is deprecated: it does nothing",
    ]
    assert "warning" not in captured.out


def test_strict_makes_them_errors(late, monkeypatch, capsys):
    monkeypatch.setenv("STEM_STRICT", "1")
    assert execute(["validate", "late.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: late.yaml:")
    assert line.endswith(WHO)


def test_only_the_first_process_of_a_job_says_it(late, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert execute(["validate", "late.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_other_warnings_are_left_to_python(capsys):
    with pytest.warns(UserWarning, match="of another kind"), warnings_in_lines():
        warnings.warn("of another kind", UserWarning, stacklevel=1)
    with pytest.warns(stemcore.StemDeprecationWarning):
        warnings.warn("after it", stemcore.StemDeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == ""


def test_python_users_see_them_by_default(late):
    Path("use.py").write_text("from stemcore import load_recipe\nload_recipe('late.yaml')\nload_recipe('late.yaml')\n")
    done = subprocess.run([sys.executable, "use.py"], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "StemDeprecationWarning" in line]
    assert [line.partition("use.py:")[2].split(":")[0] for line in shown] == ["2", "3"]
    assert all(WHO in line for line in shown)


def test_a_run_says_it_once_and_says_what_to_install_when_the_plugin_is_gone(late, capsys):
    assert execute(["-q", "run", "late.yaml", "--output", "out", "--fast-dev-run"]) == 0
    assert capsys.readouterr().err.count("warning: ") == 1
    written = Path("out/recipe.yaml").read_text().splitlines()
    requires = next(line for line in written if line.startswith("requires:"))
    assert requires == f"requires: [stem-late>=2.5, stemcore>={stemcore.__version__}]"
    assert execute(["-q", "encode", "out", "--out", "latents.npz"]) == 0
    assert execute(["-q", "run", "late.yaml", "--resume", "out", "figures=null"]) == 0
    assert "warning" not in capsys.readouterr().err

    shutil.rmtree(late / "stem_late-2.5.dist-info")
    sys.modules.pop("late_plugin", None)
    catalogue.cache_clear()
    place = f"out/recipe.yaml:{written.index(requires) + 1}"
    said = f"error: {place}: needs stem-late>=2.5, which is not installed; pip install 'stem-late>=2.5'"
    for args in (["encode", "out", "--out", "a.npz"], ["run", "late.yaml", "--resume", "out"], ["evaluate", "out"]):
        assert execute(["-q", *args]) == 2
        assert capsys.readouterr().err.splitlines()[0] == said
    with pytest.raises(stemcore.UserError, match=r"pip install 'stem-late>=2\.5'"):
        stemcore.load_run("out")
