from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from stemcore.component.kinds import KINDS
from stemcore.errors import UserError
from stemcore.plugins.catalogue import Catalogue
from stemcore.plugins.discovery import Discovery, discover

GOOD = "from stemcore import hookimpl\n@hookimpl\ndef stem_losses():\n    return {'good': 'gp.parts:Good'}\n"
HOOK = "from stemcore import hookimpl\n@hookimpl\ndef {name}({arguments}):\n    {body}\n"
Make = Callable[..., EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a module and gives the entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = 0

    def make(name: str, code: str | None) -> EntryPoint:
        nonlocal written
        written += 1
        module = f"discovered_{tmp_path.name}_{written}"
        if code is not None:
            (tmp_path / f"{module}.py").write_text(code)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return EntryPoint(name, module, "stemcore")

    return make


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (None, "ModuleNotFoundError: No module named"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' ("),
        ("1 / 0\n", "ZeroDivisionError: division by zero ("),
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("x = 1\n", "implements no hook; are its functions marked with @hookimpl?"),
        ("def stem_losses():\n    return {}\n", "implements no hook"),
        (
            HOOK.format(name="stem_loses", arguments="", body="return {}"),
            "no hook 'stem_loses'; did you mean 'stem_losses'?",
        ),
        (HOOK.format(name="stem_losses", arguments="extra", body="return {}"), "PluginValidationError"),
        (HOOK.format(name="stem_losses", arguments="", body="return ['a']"), "it returned list, not a mapping"),
        (HOOK.format(name="stem_losses", arguments="", body="return None"), "it returned NoneType, not a mapping"),
        (HOOK.format(name="stem_losses", arguments="", body="raise KeyError('a')"), "hook stem_losses: KeyError: 'a'"),
        (HOOK.format(name="stem_losses", arguments="", body="exit(4)"), "hook stem_losses: SystemExit: 4"),
    ],
)
def test_a_broken_plugin_is_isolated(plugin: Make, code: str | None, cause: str) -> None:
    found = discover([plugin("broken", code), plugin("fine", GOOD)])
    (trouble,) = found.troubles
    assert trouble.plugin == "broken"
    assert cause in trouble.cause
    assert "\n" not in trouble.cause
    assert [plugin.name for plugin in found.plugins] == ["fine"]
    assert [plugin.name for plugin in found.left_out] == ["broken"]
    assert [e.name for e in Catalogue(found).of_kind("loss")] == ["good"]


def test_the_place_of_a_failure_is_the_plugins_own(plugin: Make, tmp_path: Path) -> None:
    (trouble,) = discover([plugin("broken", "x = 1\n1 / 0\n")]).troubles
    assert trouble.cause.endswith(".py:2)")
    assert str(tmp_path) in trouble.cause


def test_one_hook_that_fails_hides_no_other(plugin: Make) -> None:
    found = discover([plugin("half", GOOD + "@hookimpl\ndef stem_models():\n    raise ValueError('no')\n")])
    assert Catalogue(found).names("loss") == ["good"]
    assert [t.cause.split(" (")[0] for t in found.troubles] == ["hook stem_models: ValueError: no"]


def test_clash_of_entry_point_names(plugin: Make) -> None:
    found = discover([plugin("same", GOOD), plugin("same", GOOD.replace("good", "other"))])
    assert len(found.plugins) == 1
    (trouble,) = found.troubles
    assert "its name is taken by" in trouble.cause
    assert [plugin.module for plugin in found.left_out] == [trouble.module] != [found.plugins[0].module]


def test_clash_of_component_names(plugin: Make) -> None:
    known = Catalogue(discover([plugin("one", GOOD), plugin("two", GOOD)]))
    with pytest.raises(UserError, match=r"loss 'good' is offered by one/good .* and two/good .*qualified name"):
        known.find("loss", "good")
    assert known.find("loss", "two/good").plugin == "two"
    assert known.names("loss") == ["good"]


@pytest.mark.parametrize(
    "offer", ["{3: 'a:B'}", "{'a b': 'a:B'}", "{'p/q': 'a:B'}", "{'x': 3}", "{'x': 'no_colon'}", "{'x': ':B'}"]
)
def test_offers_that_are_no_names(plugin: Make, offer: str) -> None:
    known = Catalogue(discover([plugin("odd", HOOK.format(name="stem_losses", arguments="", body=f"return {offer}"))]))
    assert known.entries == []
    assert "is not a name and 'package.module:Class'" in known.troubles[0].cause


def test_plugins_can_be_left_out(plugin: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEM_DISABLE_PLUGINS", "broken, off")
    known = Catalogue(discover([plugin("broken", "1 / 0"), plugin("fine", GOOD), plugin("off", GOOD)]))
    assert (known.disabled, known.troubles) == (["broken", "off"], [])
    assert [plugin.name for plugin in known.left_out] == ["broken", "off"]
    with pytest.raises(UserError, match="'off' is switched off by STEM_DISABLE_PLUGINS"):
        known.find("loss", "off/good")


@pytest.mark.parametrize(("value", "fatal"), [("1", True), ("0", False), ("", False)])
def test_strict(plugin: Make, monkeypatch: pytest.MonkeyPatch, value: str, fatal: bool) -> None:
    monkeypatch.setenv("STEM_STRICT", value)
    found = discover([plugin("broken", "1 / 0"), plugin("fine", GOOD)])
    if fatal:
        with pytest.raises(UserError, match="ZeroDivisionError"):
            Catalogue(found)
    else:
        assert len(Catalogue(found).troubles) == 1


def test_unknown_components_name_what_did_not_load(plugin: Make) -> None:
    known = Catalogue(discover([plugin("broken", "1 / 0"), plugin("fine", GOOD)]))
    with pytest.raises(UserError) as caught:
        known.find("loss", "goood")
    (problem,) = caught.value.problems
    assert problem.message == "unknown loss 'goood'"
    assert problem.hint.startswith("did you mean 'good'?; not loaded: plugin 'broken' of ")
    with pytest.raises(UserError, match="there is a loss of that name"):
        known.find("metric", "good")


@pytest.mark.parametrize(
    ("target", "cause"),
    [("gone_module:X", "No module named 'gone_module'"), ("json:Nothing", "no attribute 'Nothing'")],
)
def test_components_that_cannot_be_imported(plugin: Make, target: str, cause: str) -> None:
    known = Catalogue(discover([plugin("bad", GOOD.replace("gp.parts:Good", target))]))
    with pytest.raises(UserError, match=rf"loss 'good' of plugin 'bad' .* cannot be imported from {target}: .*{cause}"):
        known.schema(known.find("loss", "good"))


def test_components_whose_signature_cannot_be_read(plugin: Make, tmp_path: Path) -> None:
    (tmp_path / "odd_parts.py").write_text("class A:\n    def __init__(self, *, x: 'Nowhere' = 3): ...\n")
    known = Catalogue(discover([plugin("bad", GOOD.replace("gp.parts:Good", "odd_parts:A"))]))
    with pytest.raises(UserError, match=r"plugin 'bad' .*NameError: name 'Nowhere' is not defined"):
        known.schema(known.find("loss", "good"))


def test_defaults_that_contradict_each_other(plugin: Make) -> None:
    codes = [HOOK.format(name="stem_defaults", arguments="", body=f"return {{'seed': {n}, 'a{n}': 1}}") for n in (1, 2)]
    known = Catalogue(discover([plugin("one", codes[0]), plugin("two", codes[1])]))
    assert known.defaults == {"seed": 1, "a1": 1, "a2": 1}
    assert known.default_of == {"seed": "one", "a1": "one", "a2": "two"}
    assert [t.plugin for t in known.troubles] == ["two"]


def test_every_kind_has_its_hook() -> None:
    from stemcore import hookspecs

    specs = {name for name in dir(hookspecs) if name.startswith("stem_")}
    assert {kind.hook for kind in KINDS.values()} == specs - {"stem_defaults", "stem_examples"}
    assert all(getattr(hookspecs, name).__doc__ for name in specs)


def test_no_plugins_at_all() -> None:
    known = Catalogue(Discovery())
    assert known.entries == []
    with pytest.raises(UserError, match="there are none"):
        known.find("model", "x")
