from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from stemcore.plugins.catalogue import Catalogue
from stemcore.plugins.discovery import Trouble, discover
from stemcore.plugins.inventory import Installed, inventory

HEAD = "from stemcore import hookimpl\n"
HOOK = "@hookimpl\ndef stem_{kind}():\n    return {offer}\n"
GOOD = HOOK.format(kind="losses", offer="{'good': 'gp.parts:Good', 'fine': 'gp.parts:Fine'}")
NAMELESS = HOOK.format(kind="losses", offer="{'a b': 'gp.parts:Good'}")
WRONG = HOOK.format(kind="models", offer="[]")


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The inventory of plugins given by their code."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def find(*troubles: Trouble, **codes: str) -> dict[str, Installed]:
        points = []
        for name, code in codes.items():
            module = f"found_{tmp_path.name}_{name}"
            (tmp_path / f"{module}.py").write_text(HEAD + code)
            monkeypatch.delitem(sys.modules, module, raising=False)
            points.append(EntryPoint(name, module, "stemcore"))
        known = Catalogue(discover(points))
        return {i.plugin.name: i for i in inventory(known, [*known.troubles, *troubles])}

    return find


@pytest.mark.parametrize(
    ("code", "status", "cause", "names"),
    [
        (GOOD, "ok", "", ["good", "fine"]),
        (HOOK.format(kind="losses", offer="{}"), "ok", "", []),
        (GOOD + WRONG, "partial", "hook stem_models: TypeError", ["good", "fine"]),
        (GOOD.replace("'fine'", "3"), "partial", "hook stem_losses: 3 -> ", ["good"]),
        (HOOK.format(kind="defaults", offer="{'seed': 3}") + WRONG, "partial", "hook stem_models", []),
        (NAMELESS, "broken", "hook stem_losses: 'a b' -> ", []),
        (WRONG, "broken", "hook stem_models: TypeError", []),
        ("1 / 0\n", "broken", "ZeroDivisionError", []),
        ("", "broken", "it implements no hook", []),
    ],
)
def test_status(found, code: str, status: str, cause: str, names: list[str]) -> None:
    plugin = found(lab=code)["lab"]
    assert plugin.status == status
    assert [cause in text for text in plugin.causes] == ([True] if cause else [])
    assert [entry.name for entry in plugin.entries] == names


def test_a_plugin_that_is_switched_off(found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "off")
    plugins = found(off="1 / 0", on=GOOD)
    assert [(name, plugin.status) for name, plugin in plugins.items()] == [("off", "disabled"), ("on", "ok")]
    assert plugins["off"].causes == []


def test_troubles_met_elsewhere_count(found) -> None:
    plugins = found(Trouble("lab", "somewhere", "its verb is the core's"), lab=GOOD, other=GOOD)
    assert (plugins["lab"].status, plugins["lab"].causes) == ("partial", ["its verb is the core's"])
    assert plugins["other"].status == "ok"


def test_of_two_of_the_same_name_each_has_its_own_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = [f"twin_{tmp_path.name}_{n}" for n in "ab"]
    for module in modules:
        (tmp_path / f"{module}.py").write_text(HEAD + GOOD)
    known = Catalogue(discover([EntryPoint("same", module, "stemcore") for module in modules]))
    first, second = inventory(known, known.troubles)
    assert (first.status, first.plugin.module, first.causes) == ("ok", modules[0], [])
    assert (second.status, second.plugin.module, second.entries) == ("broken", modules[1], [])
    assert "its name is taken by" in second.causes[0]


def test_document(found, tmp_path: Path) -> None:
    document = found(lab="STEM_API = '1.0'\n" + GOOD)["lab"].document()
    assert document == {
        "plugin": "lab",
        "distribution": "an unknown distribution",
        "version": "",
        "api_version": "1.0",
        "status": "ok",
        "causes": [],
        "deprecations": [],
        "module": f"found_{tmp_path.name}_lab",
        "location": str(tmp_path / f"found_{tmp_path.name}_lab.py"),
        "components": [
            {"kind": "loss", "name": "good", "target": "gp.parts:Good"},
            {"kind": "loss", "name": "fine", "target": "gp.parts:Fine"},
        ],
    }
