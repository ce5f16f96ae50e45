from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pluggy
import pytest
from typing_extensions import deprecated

import stemcore
from stemcore.errors import Problem, UserError
from stemcore.plugins.catalogue import Catalogue
from stemcore.plugins.deprecation import announce, deprecation_of, is_deprecated
from stemcore.plugins.discovery import discover

hookspec = pluggy.HookspecMarker("stemcore")
PLUGIN = """from stemcore import hookimpl
@hookimpl
def stem_losses():
    return {'good': 'gp.parts:Good'}
@hookimpl
def stem_readers():
    return {'raw': 'gp.parts:Raw'}
"""


@pytest.fixture
def hooks() -> ModuleType:
    """Hooks of which one is deprecated, as the core's would be."""

    @hookspec
    def stem_losses(): ...

    @hookspec(warn_on_impl=DeprecationWarning("implement stem_datasets"))
    def stem_readers(): ...

    module = ModuleType("later_hooks")
    module.stem_losses, module.stem_readers = stem_losses, stem_readers
    return module


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[EntryPoint]]]:
    monkeypatch.syspath_prepend(str(tmp_path))
    written: list[str] = []

    def write(code: str) -> list[EntryPoint]:
        name = f"deprecating_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(code)
        written.append(name)
        return [EntryPoint("lab", name, "stemcore")]

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_deprecated_hook_works_and_the_plugin_is_named(points, hooks) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pluggy's own would be one
        found = discover(points(PLUGIN), hooks)
    assert found.troubles == []
    (plugin,) = found.plugins
    assert plugin.deprecations == ("its hook stem_readers is deprecated: implement stem_datasets",)
    assert set(plugin.offers) == {"stem_losses", "stem_readers"}
    assert Catalogue(found).names("loss") == ["good"]


def test_a_plugin_without_it_is_left_alone(points, hooks) -> None:
    (plugin,) = discover(points(PLUGIN.partition("@hookimpl\ndef stem_readers")[0]), hooks).plugins
    assert plugin.deprecations == ()


def test_hooks_are_those_of_the_module_given(points, hooks) -> None:
    (trouble,) = discover(points(PLUGIN.replace("stem_readers", "stem_models")), hooks).troubles
    assert trouble.cause.startswith("there is no hook 'stem_models'")


def test_strict_makes_a_deprecated_hook_an_error(points, hooks, monkeypatch) -> None:
    monkeypatch.setenv("STEM_STRICT", "1")
    with pytest.raises(UserError) as caught:
        Catalogue(discover(points(PLUGIN), hooks))
    said = "plugin 'lab' of an unknown distribution: its hook stem_readers is deprecated: implement stem_datasets"
    assert str(caught.value) == said


def test_no_hook_of_the_core_is_deprecated_without_a_replacement_named() -> None:
    for name, hook in vars(stemcore.hookspecs).items():
        warning = getattr(hook, "stemcore_spec", {}).get("warn_on_impl")
        assert warning is None or "stem_" in str(warning), name


def test_what_pep_702_says_of_classes_and_functions() -> None:
    @deprecated("use\n 'New'")
    class Old: ...

    with pytest.warns(DeprecationWarning, match="use"):

        class New(Old): ...

    @deprecated("use g")
    def f(): ...

    assert deprecation_of(Old) == "use 'New'"
    assert deprecation_of(f) == "use g"
    assert deprecation_of(New) is None
    assert deprecation_of(len) is None


@pytest.mark.parametrize(
    ("advice", "said"),
    [("use 'eps'", "is deprecated: use 'eps'"), ("deprecated", "is deprecated"), ("", "is deprecated")],
)
def test_wording(advice: str, said: str) -> None:
    assert is_deprecated(advice) == said


def test_warnings_are_shown_by_default_and_point_out_of_the_package() -> None:
    with pytest.warns(stemcore.StemDeprecationWarning, match=r"^r.yaml:3: old$") as seen:
        announce([Problem("old", "r.yaml:3")])
    assert seen[0].filename == __file__
    assert issubclass(stemcore.StemDeprecationWarning, FutureWarning)


@pytest.mark.parametrize(("value", "fatal"), [("1", True), ("0", False)])
def test_strict(monkeypatch: pytest.MonkeyPatch, value: str, fatal: bool) -> None:
    monkeypatch.setenv("STEM_STRICT", value)
    if fatal:
        with pytest.raises(UserError, match=r"^old\nr.yaml:3: older$"):
            announce([Problem("old"), Problem("older", "r.yaml:3")])
    else:
        with pytest.warns(stemcore.StemDeprecationWarning):
            announce([Problem("old")])
    announce([])
