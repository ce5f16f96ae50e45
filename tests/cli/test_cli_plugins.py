from __future__ import annotations

import json

import pytest

from stemcore.cli.main import execute
from stemcore.component.kinds import KINDS
from stemcore.plugins.catalogue import catalogue


def test_list_has_a_row_for_each_component(lab, capsys):
    assert execute(["plugins", "list"]) == 0
    head, *rows = [line.split(None, 3) for line in capsys.readouterr().out.splitlines()]
    assert head == ["kind", "name", "plugin", "distribution"]
    for entry in catalogue().entries:
        assert [entry.kind, entry.name, entry.plugin, f"{entry.distribution} {entry.version}"] in rows
    kinds = list(dict.fromkeys(row[0] for row in rows if row[0] in KINDS))
    assert kinds == [kind for kind in KINDS if kind in kinds]


@pytest.mark.parametrize("args", [["plugins", "--json"], ["plugins", "list", "--json"], ["plugins", "--json", "list"]])
def test_json_is_one_document_whatever_plugins_print(distribution, args, stem, monkeypatch):
    noisy = "print('hello from noisy')\nfrom stemcore import hookimpl\n"
    noisy += "@hookimpl\ndef stem_losses():\n    print('asked')\n    return {'hinge': 'noisy.losses:Hinge'}\n"
    distribution("stem-noisy", {"noisy": "noisy_plugin"}, {"noisy_plugin.py": noisy})
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "losses")
    done = stem(*args)
    document = json.loads(done.stdout)
    assert set(document) == {"components", "troubles", "disabled"}
    assert document["disabled"] == ["losses"]
    assert {
        "kind": "loss",
        "name": "hinge",
        "plugin": "noisy",
        "distribution": "stem-noisy",
        "version": "2.5",
        "target": "noisy.losses:Hinge",
    } in document["components"]
    assert "hello from noisy" in done.stderr


def test_list_ends_with_what_is_broken_refused_and_switched_off(lab, distribution, monkeypatch, capsys):
    distribution("stem-bad", {"bad": "bad_plugin"}, {"bad_plugin.py": "import no_such_module\n"})
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "losses")
    catalogue.cache_clear()
    assert execute(["plugins"]) == 0
    shown = capsys.readouterr().out
    assert "broken: plugin 'bad' of stem-bad: ModuleNotFoundError: No module named 'no_such_module'" in shown
    assert "broken: plugin 'lab' of stem-lab: its verb 'run' is the core's and stays so" in shown
    assert "switched off by STEM_DISABLE_PLUGINS: plugin 'losses'" in shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("los/mse", "unknown kind 'los'; did you mean 'loss'?"),
        ("loss", "'loss' is not KIND/NAME; names of this kind: "),
        ("loss/msee", "unknown loss 'msee'; did you mean 'mse'?"),
    ],
)
def test_show_of_what_is_not_there(asked, said, capsys):
    assert execute(["plugins", "show", asked]) == 2
    assert said in capsys.readouterr().err
