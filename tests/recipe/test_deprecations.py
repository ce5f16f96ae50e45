from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pytest

import stemcore
from stemcore.errors import UserError
from stemcore.plugins import catalogue
from stemcore.recipe import load_recipe
from stemcore.recipe.load import changed_recipe, read_recipe

OLD = '''
from typing_extensions import deprecated

@deprecated("use 'toy_mse'")
class Old:
    """An old loss."""
    def __init__(self, *, p: Annotated[float, Field(gt=0)] = 2.0):
        self.p = p

class Renamed:
    """A loss with an old parameter."""
    def __init__(self, *, eps: float = 0.0, size: Annotated[float | None, Field(deprecated="use 'eps'")] = 0.5):
        self.eps = eps
'''
WHO = "of plugin 'toy' (stem-toy 1.5)"
SIZE = f"'size' of loss 'toy_renamed' {WHO} is deprecated: use 'eps'"


@pytest.fixture
def old(toy: Path, toy_recipe: Path) -> Path:
    """The toy plugins with a loss that is deprecated and one with a parameter that is."""
    plugin, parts = toy / "stem_toy" / "plugin.py", toy / "stem_toy" / "parts.py"
    parts.write_text(parts.read_text() + OLD)
    losses = '"toy_old": "stem_toy.parts:Old", "toy_renamed": "stem_toy.parts:Renamed"'
    plugin.write_text(plugin.read_text().replace('"toy_mse":', f'{losses}, "toy_mse":'))
    catalogue.cache_clear()
    return toy_recipe


def warned(*overrides: str, source: str = "toy.yaml") -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        load_recipe(source, overrides)
    assert {w.category for w in seen} <= {stemcore.StemDeprecationWarning}
    assert {w.filename for w in seen} <= {__file__}
    return [str(w.message) for w in seen]


def losses(text: str, name: str = "toy.yaml") -> None:
    Path(name).write_text(Path("toy.yaml").read_text().replace("  toy_mse: {}\n", text))


def test_nothing_is_said_of_what_is_not_deprecated(old: Path) -> None:
    assert warned() == []
    losses("  toy_renamed: {eps: 1.0}\n")
    assert warned() == []


def test_a_component_is_named_with_its_place_plugin_and_replacement(old: Path) -> None:
    losses("  a: {type: toy/toy_old}\n  toy_old:\n    p: 3.0\n")
    said = f"loss 'toy_old' {WHO} is deprecated: use 'toy_mse'"
    assert warned() == [f"toy.yaml:8: losses.a: {said}", f"toy.yaml:9: losses.toy_old: {said}"]


@pytest.mark.parametrize("value", ["2.5", "0.5", "null"])
def test_a_setting_is_named_where_it_is_written(old: Path, value: str) -> None:
    losses(f"  toy_renamed:\n    eps: 1.0\n    size: {value}\n")
    assert warned() == [f"toy.yaml:10: losses.toy_renamed.size: {SIZE}"]


def test_a_setting_given_on_the_command_line(old: Path) -> None:
    losses("  toy_renamed: {}\n")
    override = "losses.toy_renamed.size=3"
    assert warned(override) == [f"{override} on the command line: losses.toy_renamed.size: {SIZE}"]


def test_a_setting_taken_back_is_not_set(old: Path) -> None:
    losses("  toy_renamed: {size: 0.25}\n", "base.yaml")
    Path("mine.yaml").write_text("extends: base.yaml\nlosses: {toy_renamed: {size: null}}\n")
    assert warned(source="mine.yaml") == []
    assert warned(source="base.yaml") == [f"base.yaml:8: losses.toy_renamed.size: {SIZE}"]


def test_a_resolved_recipe_says_no_more_than_the_one_it_came_from(old: Path) -> None:
    losses("  toy_renamed: {size: 3}\n", "set.yaml")
    losses("  toy_renamed: {}\n")
    resolved = load_recipe("toy.yaml").to_yaml()
    assert "size" not in resolved.partition("losses:")[2].partition("optimizer:")[0]
    Path("resolved.yaml").write_text(resolved)
    assert warned(source="resolved.yaml") == []
    assert load_recipe("resolved.yaml") == load_recipe("toy.yaml")
    with pytest.warns(stemcore.StemDeprecationWarning):
        Path("resolved.yaml").write_text(load_recipe("set.yaml").to_yaml())
    (line,) = warned(source="resolved.yaml")
    assert line.endswith(f"losses.toy_renamed.size: {SIZE}")


def test_a_plugin_with_an_old_hook_is_named_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalogue()
    text = "its hook stem_losses is deprecated: implement stem_terms"
    plugins = [dataclasses.replace(p, deprecations=(text,)) if p.name == "toy" else p for p in known.plugins]
    monkeypatch.setattr(known, "plugins", plugins)
    assert warned() == [f"toy.yaml:5: data.train: plugin 'toy' (stem-toy 1.5): {text}"]


def test_strict_makes_all_of_them_errors(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses("  toy_old: {}\n  toy_renamed: {size: 1}\n")
    monkeypatch.setenv("STEM_STRICT", "1")
    with pytest.raises(UserError) as caught:
        load_recipe("toy.yaml")
    assert [problem.where for problem in caught.value.problems] == ["toy.yaml:8", "toy.yaml:9"]
    assert read_recipe("toy.yaml").losses.keys() == {"toy_old", "toy_renamed"}  # a run that was made can be applied


def test_of_a_changed_recipe_only_what_is_new_is_said(old: Path) -> None:
    losses("  toy_old: {}\n  toy_renamed: {}\n")
    recipe = read_recipe("toy.yaml")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        changed_recipe(recipe, recipe.document(), ["seed=3"])
    assert seen == []
    with pytest.warns(stemcore.StemDeprecationWarning) as shown:
        changed = changed_recipe(recipe, recipe.document(), ["losses.toy_renamed.size=2"])
    assert [str(w.message).partition(": ")[2] for w in shown] == [f"losses.toy_renamed.size: {SIZE}"]
    assert changed.losses["toy_renamed"].component.arguments["size"] == 2.0
