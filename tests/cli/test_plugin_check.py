from __future__ import annotations

import json

import pytest

from stemcore.cli.main import execute
from stemcore.cli.plugin_check import check_distribution
from stemcore.progress import Reporter

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
    """Sum of the prediction.

    Args:
        eps: is not used.
    """
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


def failures(distribution: str, *components: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for outcome in check_distribution(distribution, components, Reporter()):
        if outcome.status == "failed":
            found.setdefault(outcome.component, {})[outcome.check] = outcome.message
    return found


def test_each_fault_is_found_and_named(faulty):
    found = failures("stem.Check-Me")
    expected = {
        "plugin/check": ("check_loads", "there is no hook 'stem_modles'"),
        "loss/BadName": ("check_name", "'BadName' is not a lower_snake name"),
        "loss/gone": ("check_import_string", "has no attribute 'Gone'"),
        "loss/alien": ("check_base_class", "it is not a subclass of stemcore.Loss"),
        "loss/silent": ("check_docstring", "it has no docstring"),
        "loss/vague": ("check_signature", "parameter 'eps' has no annotation"),
        "loss/grabbing": ("check_signature", "takes (spec) by position, the core hands over nothing"),
        "loss/instance": ("check_base_class", "it is not a subclass of stemcore.Loss"),
    }
    assert "loss/good" not in found
    for component, (check, said) in expected.items():
        assert said in found[component][check], (component, found[component])


def test_exit_code_and_table(faulty, distribution, capsys):
    assert execute(["-q", "plugins", "check", "stem-check-me"]) == 1
    printed = capsys.readouterr()
    rows = [line.split(None, 3) for line in printed.out.splitlines()]
    assert rows[0] == ["component", "check", "result", "seen"]
    assert ["loss/silent", "check_docstring", "FAILED", "it has no docstring"] in rows
    assert any(row[:3] == ["loss/good", "all", "ok"] for row in rows)
    assert " failed, " in printed.out.splitlines()[-1]
    assert printed.err == ""
    fine = PLUGIN.split("@hookimpl")[0] + "@hookimpl\ndef stem_losses():\n    return {'good': 'check_me.losses:Good'}\n"
    distribution("stem-fine", {"fine": "fine_plugin"}, {"fine_plugin.py": fine})
    assert execute(["plugins", "check", "stem-fine"]) == 0
    assert ", 0 failed, " in capsys.readouterr().out.splitlines()[-1]


def test_one_component_and_every_check_of_it(faulty, capsys):
    assert execute(["-q", "plugins", "check", "stem-check-me", "loss/silent", "-v"]) == 1
    rows = [line.split(None, 3)[:3] for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert {row[0] for row in rows} == {"loss/silent"}
    assert ["loss/silent", "check_docstring", "FAILED"] in rows
    assert ["loss/silent", "check_name", "passed"] in rows
    assert ["loss/silent", "check_masks", "skipped"] in rows
    assert execute(["plugins", "check", "stem-check-me", "loss/silnt"]) == 2
    assert "no component 'loss/silnt'; did you mean 'loss/silent'" in capsys.readouterr().err


def test_json_document(faulty, capsys):
    assert execute(["plugins", "check", "stem-check-me", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["failed"] == sum(result["status"] == "failed" for result in document["results"]) > 0
    silent = {
        "component": "loss/silent",
        "check": "check_docstring",
        "status": "failed",
        "message": "it has no docstring",
    }
    assert silent in document["results"]
    assert {"component": "loss/good", "check": "check_name", "status": "passed", "message": ""} in document["results"]


def test_verbs_and_recipes_are_checked(lab):
    found = failures("stem-lab")
    assert "command/measure" not in found
    assert found.pop("plugin/lab", {}) == {}
    assert "no stemcore.Command" in found["command/plain"]["check_base_class"]
    assert "no camera driver" in found["command/broken"]["check_import_string"]
    assert "cannot be read" in found["recipe/lost"]["check_file"]
    assert "'run' is a verb of the core" in found["command/run"]["check_name_is_free"]


def test_unknown_distribution_lists_those_there_are(lab, capsys):
    assert execute(["plugins", "check", "zzz"]) == 2
    said = capsys.readouterr().err
    assert "no distribution 'zzz' has plugins here" in said
    assert "stem-lab" in said
    assert "stemcore" in said
