from __future__ import annotations

import pytest

from stemcore.cli.main import execute
from stemcore.plugins import catalogue

TEXT = "# What the lab uses.\nstem: 1\nname: lab\n"


@pytest.mark.parametrize("args", [["recipes"], ["recipes", "list"]])
def test_list_gives_the_first_comment_line(lab, args, capsys):
    assert execute(args) == 0
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    assert ["lab-recipe", "lab", "What the lab uses."] in rows
    (lost,) = (row for row in rows if row[0] == "lost")
    assert "cannot be read from lab_verbs:recipes/lost.yaml: FileNotFoundError" in lost[2]


@pytest.mark.parametrize("name", ["lab-recipe", "lab/lab-recipe"])
def test_show_prints_the_file(lab, name, capsys):
    assert execute(["recipes", "show", name]) == 0
    assert capsys.readouterr().out == TEXT


def test_copy_writes_it_and_replaces_nothing(lab, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert execute(["recipes", "copy", "lab/lab-recipe"]) == 0
    assert capsys.readouterr().out == "lab-recipe.yaml\n"
    copied = tmp_path / "lab-recipe.yaml"
    assert copied.read_text() == TEXT
    copied.write_text("mine")
    assert execute(["recipes", "copy", "lab-recipe"]) == 2
    assert "error: lab-recipe.yaml exists already" in capsys.readouterr().err
    assert copied.read_text() == "mine"


@pytest.mark.parametrize("verb", ["show", "copy"])
def test_unknown_and_unreadable_recipes(lab, verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert execute(["recipes", verb, "lab-recip"]) == 2
    assert "unknown recipe 'lab-recip'; did you mean 'lab-recipe'?" in capsys.readouterr().err
    assert execute(["recipes", verb, "lost"]) == 2
    assert "recipe 'lost' of plugin 'lab' (stem-lab) cannot be read" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.yaml"))


def test_options_are_listed_by_section(capsys):
    assert execute(["recipes", "options"]) == 0
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["option", "plugin", "about"]
    assert {entry.name.replace("/", "=") for entry in catalogue().of_kind("option")} == {row[0] for row in rows[1:]}
    assert execute(["recipes", "options", "losses"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["option", "losses=mae_spectral"]
    assert execute(["recipes", "options", "loss"]) == 2
    assert "there are no options for 'loss'; did you mean 'losses'?" in capsys.readouterr().err
