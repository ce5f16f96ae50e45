from __future__ import annotations

import json

import pytest

from stemcore.cli.main import execute
from stemcore.cli.plugin_check import check_distribution
from stemcore.plugins.catalogue import catalogue

PLUGIN = """
from stemcore import hookimpl

@hookimpl
def stem_losses():
    return {"good": "check_me.losses:Good", "BadName": "check_me.losses:Good", "gone": "check_me.losses:Gone",
            "alien": "check_me.losses:Alien", "silent": "check_me.losses:Silent", "vague": "check_me.losses:Vague",
            "grabbing": "check_me.losses:Grabbing", "instance": "check_me.losses:THING"}

@hookimpl
def stem_optimizers():
    return {"descent": "check_me.losses:descent"}

@hookimpl
def stem_modles():
    return {}
"""
LOSSES = '''
from stemcore import Loss

class Good(Loss):
    """Good."""
    def __init__(self, *, eps: float = 0.0):
        super().__init__()
    def forward(self, prediction):
        return prediction.sum()

class Alien:
    """Not a loss."""

class Silent(Loss):
    def forward(self, prediction):
        return prediction.sum()

class Vague(Loss):
    """A parameter without annotation."""
    def __init__(self, *, eps=0.0):
        super().__init__()

class Grabbing(Loss):
    """Asks the core for something that a loss is not given."""
    def __init__(self, spec):
        super().__init__()

THING = Good()

def descent(params, *, lr: float = 1.0):
    """Steps downhill."""
'''


@pytest.fixture
def faulty(distribution):
    files = {"check_me/__init__.py": "", "check_me/plugin.py": PLUGIN, "check_me/losses.py": LOSSES}
    return distribution("stem-check_me", {"check": "check_me.plugin"}, files)


def test_each_fault_is_found_and_named(faulty):
    found = {result.subject: result.failures for result in check_distribution(catalogue(), "stem.Check-Me")}
    assert found.pop("loss/good") == []
    assert found.pop("optimizer/descent") == []
    expected = {
        "plugin 'check'": "there is no hook 'stem_modles'",
        "loss/BadName": "'BadName' is not a lower_snake name",
        "loss/gone": "has no attribute 'Gone'",
        "loss/alien": "it is not a stemcore.Loss",
        "loss/silent": "it has no docstring",
        "loss/vague": "parameter 'eps' has no annotation",
        "loss/grabbing": "takes (spec) by position, the core hands over nothing",
        "loss/instance": "it is not a stemcore.Loss",
    }
    assert set(found) == set(expected)
    for subject, said in expected.items():
        assert any(said in failure for failure in found[subject]), (subject, found[subject])


def test_exit_code_and_table(faulty, distribution, capsys):
    assert execute(["plugins", "check", "stem-check-me"]) == 1
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    assert ["loss/good", "ok"] in rows
    assert ["loss/silent", "FAILED", "it has no docstring"] in rows
    fine = PLUGIN.split("@hookimpl")[0] + "@hookimpl\ndef stem_losses():\n    return {'good': 'check_me.losses:Good'}\n"
    distribution("stem-fine", {"fine": "fine_plugin"}, {"fine_plugin.py": fine})
    assert execute(["plugins", "check", "stem-fine"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["loss/good", "ok"]


def test_json_document(faulty, capsys):
    assert execute(["plugins", "check", "stem-check-me", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {"subject": "loss/good", "failures": []} in document["results"]


def test_verbs_and_recipes_are_checked(lab):
    found = {result.subject: result.failures for result in check_distribution(catalogue(), "stem-lab")}
    assert found["command/measure"] == []
    assert found["recipe/lab-recipe"] == []
    assert any("not a stemcore.Command" in failure for failure in found["command/plain"])
    assert any("no camera driver" in failure for failure in found["command/broken"])
    assert any("cannot be read" in failure for failure in found["recipe/lost"])
    assert found["plugin 'lab'"] == ["its verb 'run' is the core's and stays so"]


def test_unknown_distribution_lists_those_there_are(lab, capsys):
    assert execute(["plugins", "check", "zzz"]) == 2
    said = capsys.readouterr().err
    assert "no distribution 'zzz' has plugins here" in said
    assert "stem-lab" in said
    assert "stemcore" in said


def test_built_in_plugins_pass():
    failed = [result for result in check_distribution(catalogue(), "stemcore") if result.failures]
    assert failed == []
