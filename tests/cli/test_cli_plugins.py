from __future__ import annotations

import dataclasses
import json

import pytest

import stemcore
from stemcore.cli.main import execute
from stemcore.component.kinds import KINDS
from stemcore.plugins.catalogue import catalogue


def test_list_has_a_row_for_each_component(lab, capsys):
    assert execute(["plugins", "list"]) == 0
    components, _, plugins = capsys.readouterr().out.partition("\n\n")
    head, *rows = [line.split(None, 3) for line in components.splitlines()]
    assert head == ["kind", "name", "plugin", "distribution"]
    for entry in catalogue().entries:
        assert [entry.kind, entry.name, entry.plugin, f"{entry.distribution} {entry.version}"] in rows
    kinds = list(dict.fromkeys(row[0] for row in rows))
    assert kinds == [kind for kind in KINDS if kind in kinds]
    shown = [" ".join(line.split()) for line in plugins.splitlines()]
    assert shown[0] == "plugin distribution plugin API status"
    assert "lab stem-lab 2.5 - partial" in shown
    assert f"losses stemcore {stemcore.__version__} - ok" in shown


@pytest.mark.parametrize("args", [["plugins", "--json"], ["plugins", "list", "--json"], ["plugins", "--json", "list"]])
def test_json_is_one_document_whatever_plugins_print(distribution, args, stem, monkeypatch):
    noisy = "print('hello from noisy')\nfrom stemcore import hookimpl\n"
    noisy += "@hookimpl\ndef stem_losses():\n    print('asked')\n    return {'hinge': 'noisy.losses:Hinge'}\n"
    distribution("stem-noisy", {"noisy": "noisy_plugin"}, {"noisy_plugin.py": noisy})
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "losses")
    done = stem(*args)
    document = json.loads(done.stdout)
    assert set(document) == {"stemcore", "api_version", "plugins", "components", "troubles", "disabled"}
    assert (document["stemcore"], document["api_version"]) == (stemcore.__version__, stemcore.API_VERSION)
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


MADE = """
from stemcore import hookimpl
STEM_API = "{api}"
@hookimpl
def stem_losses():
    return {{"{name}": "{module}.losses:Hinge"}}
{more}
"""
HALF = "@hookimpl\ndef stem_modles():\n    return {}\n"


def made(name, api="1.0", more=""):
    return MADE.format(api=api, name=f"{name}_hinge", module=name, more=more)


def test_json_tells_of_every_plugin_whether_it_works_or_not(distribution, monkeypatch, capsys):
    codes = {
        "made": made("made"),
        "half": made("half", more=HALF),
        "later": made("later", api="9.1"),
        "bad": "import no_such_module\n",
        "off": "1 / 0\n",
    }
    folders = {n: distribution(f"stem-{n}", {n: f"{n}_plugin"}, {f"{n}_plugin.py": c}) for n, c in codes.items()}
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "off")
    catalogue.cache_clear()
    assert execute(["plugins", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {plugin["plugin"]: plugin for plugin in document["plugins"]}
    assert list(found) == sorted(found)
    assert found["made"] == {
        "plugin": "made",
        "distribution": "stem-made",
        "version": "2.5",
        "api_version": "1.0",
        "status": "ok",
        "causes": [],
        "deprecations": [],
        "module": "made_plugin",
        "location": str(folders["made"] / "made_plugin.py"),
        "components": [{"kind": "loss", "name": "made_hinge", "target": "made.losses:Hinge"}],
    }
    facts = {n: [found[n][key] for key in ("status", "api_version", "location")] for n in codes}
    assert facts == {
        "made": ["ok", "1.0", str(folders["made"] / "made_plugin.py")],
        "half": ["partial", "1.0", str(folders["half"] / "half_plugin.py")],
        "later": ["broken", "9.1", str(folders["later"] / "later_plugin.py")],
        "bad": ["broken", None, str(folders["bad"])],
        "off": ["disabled", None, str(folders["off"])],
    }
    causes = {name: " ".join(found[name]["causes"]) for name in codes}
    assert causes["half"] == "there is no hook 'stem_modles'; did you mean 'stem_models'?"
    assert causes["later"].startswith("it was written for plugin API 9.1, this stemcore ")
    assert causes["bad"].startswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert (causes["made"], causes["off"]) == ("", "")
    assert {t["plugin"] for t in document["troubles"]} == {"half", "later", "bad"}
    offered = {(c["kind"], c["name"]) for p in document["plugins"] for c in p["components"]}
    assert offered == {(c["kind"], c["name"]) for c in document["components"]}


def test_a_deprecated_hook_is_listed(distribution, monkeypatch, capsys):
    distribution("stem-made", {"made": "made_plugin"}, {"made_plugin.py": made("made")})
    known = catalogue()
    text = "its hook stem_losses is deprecated: implement stem_terms"
    changed = [dataclasses.replace(p, deprecations=(text,)) if p.name == "made" else p for p in known.plugins]
    monkeypatch.setattr(known, "plugins", changed)
    assert execute(["plugins"]) == 0
    assert f"deprecated: plugin 'made' of stem-made: {text}" in capsys.readouterr().out.splitlines()
    assert execute(["plugins", "--json"]) == 0
    (listed,) = [p for p in json.loads(capsys.readouterr().out)["plugins"] if p["plugin"] == "made"]
    assert (listed["status"], listed["deprecations"]) == ("ok", [text])


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


def test_show_prints_the_file_of_an_option(capsys):
    assert execute(["plugins", "show", "option/model/mae_large"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("option/model/mae_large\n\nThe masked autoencoder of cubes")
    assert "\ntype: mae_spectral\nsize: large\n" in page
    assert execute(["plugins", "show", "option/spectral/model/mae_large", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"].endswith("decoder_heads: null\n")
