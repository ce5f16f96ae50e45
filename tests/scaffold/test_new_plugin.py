"""What ``stem new plugin`` writes, before it is installed; tests/acceptance has the rest."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from stemcore import API_VERSION, UserError, __version__
from stemcore.cli.main import execute
from stemcore.component.kinds import FILES, KINDS
from stemcore.scaffold import new_plugin

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_python_that_keeps_the_projects_rules(kind: str, tmp_path: Path) -> None:
    folder = new_plugin("my-lab", [kind], parent=tmp_path)
    for file in folder.rglob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"))
    left = [
        f
        for f in folder.rglob("*")
        if f.is_file() and f.suffix != ".raw" and re.search(r"(?<!\$)\{[%{] ", f.read_text())
    ]
    assert left == []
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    wanted = {"pyproject.toml", "README.md", ".gitignore", ".github/workflows/test.yml", "tests/test_contract.py"}
    assert wanted | {"src/my_lab/plugin.py", "src/my_lab/py.typed", "src/my_lab/recipes/my-lab-demo.yaml"} <= names
    own = {f"src/my_lab/{kind}.py", f"tests/test_{kind}.py"}
    assert own <= names or kind in FILES
    assert ("src/my_lab/options/trainer/my_lab_short.yaml" in names) == (kind == "option")
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is not None:
        rules = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
        for what in (["check", "src"], ["check", "--extend-ignore", "D,ANN", "tests"], ["format", "--check", "."]):
            command = [ruff, *what[:-1], *rules, str(folder / what[-1])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


def test_versions_and_words_are_those_given(tmp_path: Path) -> None:
    quoted = 'Rings, "bright" ones'
    folder = new_plugin("Ring_Lab", ["loss", "model"], parent=tmp_path, description=quoted, author="A. Nyone")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert folder.name == "ring-lab"
    assert f'"stemcore>={__version__}"' in project
    assert 'description = "Rings, \\"bright\\" ones."' in project
    assert 'authors = [{ name = "A. Nyone" }]' in project
    plugin = (folder / "src/ring_lab/plugin.py").read_text(encoding="utf-8")
    assert f'STEM_API = "{API_VERSION}"' in plugin
    assert re.findall(r"def (stem_\w+)", plugin) == ["stem_models", "stem_losses", "stem_recipes", "stem_examples"]


@pytest.mark.parametrize(
    "words",
    ['three quotes """ within', "C:\\New \\Names", "Jörg 🔬", "two\nlines\x00\x7f", "\\", '"', "{{ package }}"],
)
def test_any_words_of_the_author_keep_the_files_whole(words: str, tmp_path: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    folder = new_plugin("my-lab", parent=tmp_path, description=words, author=words)
    said = words.replace("\n", " ").rstrip("\x00\x7f")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": said}]
    assert project["description"] == f"{said}."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        package = ast.parse((folder / "src/my_lab/__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(package) == f"{said}."
    recipe = yaml.safe_load((folder / "src/my_lab/recipes/my-lab-demo.yaml").read_text(encoding="utf-8"))
    assert recipe["name"] == "my-lab-demo"


def test_nothing_is_written_over_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-lab").mkdir()
    with pytest.raises(UserError, match="my-lab: it exists already"):
        new_plugin("my-lab", parent=tmp_path)
    with pytest.raises(UserError) as caught:
        new_plugin("json", ["lss"], parent=tmp_path / "nowhere")
    assert len(caught.value.problems) == 3
    monkeypatch.setattr("stemcore.scaffold.writing.answers", lambda *given: {})
    with pytest.raises(Exception, match=r"undefined|exist"):
        new_plugin("other-lab", parent=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my-lab"]


def test_the_verb_says_what_comes_next(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["new", "plugin", "my-lab", "--kind", "metric"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "my-lab"
    assert [line.strip() for line in printed[2:]] == [
        'pip install -e "my-lab[test]"',
        "pytest my-lab",
        "stem plugins check my-lab",
        "stem run my-lab-demo",
    ]
    assert execute(["new", "plugin", "my-lab", "--kind", "metrics"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["error: --kind: unknown kind 'metrics'; did you mean 'metric'?"]
