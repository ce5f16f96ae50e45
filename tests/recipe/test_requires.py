from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import stemcore
from stemcore.errors import UserError
from stemcore.plugins import catalogue
from stemcore.recipe import load_recipe

CORE = f"stemcore>={stemcore.__version__}"
Write = Callable[..., None]


@pytest.fixture
def toy_version(toy: Path) -> Callable[[str], None]:
    """Installs the toy plugins in another version, or removes them where it is empty."""

    def install(version: str) -> None:
        (info,) = toy.glob("stem_toy-*.dist-info")
        if not version:
            info.rename(toy / "removed")
        else:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stem-toy\nVersion: {version}\n")
            info.rename(toy / f"stem_toy-{version}.dist-info")
        catalogue.cache_clear()

    return install


@pytest.fixture
def require(toy_recipe: Path) -> Write:
    """Adds ``requires:`` to the recipe, in line 4."""
    text = toy_recipe.read_text()

    def write(*requirements: str, name: str = "toy.yaml") -> None:
        line = f"requires: [{', '.join(repr(r) for r in requirements)}]\n"
        Path(name).write_text(text.replace("data:\n", f"{line}data:\n", 1))

    return write


def problems(source: Any, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_recipe(source, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_resolved_recipe_requires_what_it_uses(toy_recipe: Path) -> None:
    recipe = load_recipe("toy.yaml")
    assert recipe.requires == recipe.document()["requires"] == ["stem-toy>=1.5", CORE]
    assert f"\nseed: 42\nrequires: [stem-toy>=1.5, {CORE}]\ndata:\n" in recipe.to_yaml()


def test_of_the_distributions_installed_those_whose_components_it_has(tmp_path: Path, toy: Path) -> None:
    """The recipe uses built-in components alone, though another distribution is there."""
    source = {"data": {"train": "sample"}, "model": "conv_autoencoder", "losses": {"mse": {}}}
    assert "stem-toy" in {point.dist.name for point in entry_points(group="stemcore") if point.dist}
    assert load_recipe(source).requires == [CORE]
    assert load_recipe({**source, "losses": {"toy_mse": {}}}).requires == ["stem-toy>=1.5", CORE]


def test_what_a_recipe_says_itself_holds(require: Write) -> None:
    stated = ("Stem.Toy >=1,<2", "stemcore", "numpy>=1.2; python_version>'3'")
    require(*stated)
    recipe = load_recipe("toy.yaml")
    assert recipe.requires == ["numpy>=1.2; python_version>'3'", "Stem.Toy >=1,<2", "stemcore"]
    assert load_recipe(recipe.document()) == recipe


@pytest.mark.parametrize(
    ("version", "recorded", "also_met_by"),
    [
        ("0.2", "stem-toy>=0.2", "0.3.dev1"),
        ("0.2.dev3", "stem-toy>=0.2.dev0", "0.2.dev1"),
        ("0.2rc1.dev3", "stem-toy>=0.2.dev0", "0.2rc1.dev1"),
        ("0.2rc1", "stem-toy>=0.2rc1", "0.2"),
        ("0.2.post1", "stem-toy>=0.2.post1", "0.3a1"),
        ("0.2+g12ab", "stem-toy>=0.2", "0.2+g99"),
        ("0.2.dev3+g12ab.d2026", "stem-toy>=0.2.dev0", "0.2.dev2"),
        ("1!0.2.dev1", "stem-toy>=1!0.2.dev0", "1!0.2"),
        ("snapshot", "stem-toy", "other"),
    ],
)
def test_what_is_installed_meets_what_was_recorded(
    toy_recipe: Path, toy_version: Callable[[str], None], version: str, recorded: str, also_met_by: str
) -> None:
    toy_version(version)
    recipe = load_recipe("toy.yaml")
    assert recipe.requires == [recorded, CORE]
    Path("again.yaml").write_text(recipe.to_yaml())
    assert load_recipe("again.yaml") == recipe
    toy_version(also_met_by)
    assert load_recipe("again.yaml").requires == [recorded, CORE]


def test_a_working_copy_of_the_core_meets_what_it_recorded(toy_recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemcore.recipe.requires.__version__", "7.1.dev2")
    recipe = load_recipe("toy.yaml")
    assert recipe.requires == ["stem-toy>=1.5", "stemcore>=7.1.dev0"]
    assert load_recipe(recipe.document()) == recipe
    monkeypatch.setattr("stemcore.recipe.requires.__version__", "7.0")
    (line,) = problems(recipe.document())
    assert line == ("recipe: needs stemcore>=7.1.dev0, 7.0 is installed; pip install -U 'stemcore>=7.1.dev0'")


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("stem-gone>=0.2,<1", "needs stem-gone>=0.2,<1, which is not installed; pip install 'stem-gone>=0.2,<1'"),
        ("stem-gone", "needs stem-gone, which is not installed; pip install stem-gone"),
        ("stem-gone[x] ~=2.0", "needs stem-gone[x] ~=2.0, which is not installed; pip install 'stem-gone[x] ~=2.0'"),
        ("stem_toy>=2", "needs stem_toy>=2, 1.5 is installed; pip install -U 'stem_toy>=2'"),
        ("stem-toy<1.5", "needs stem-toy<1.5, 1.5 is installed; pip install -U 'stem-toy<1.5'"),
        ("stem-gone>1;python_version>'3'", "needs stem-gone>1, which is not installed; pip install 'stem-gone>1'"),
        ("stem-toy>>2", "requires: 'stem-toy>>2' is not a requirement; write a distribution and its versions, such as"),
        ("", "requires: '' is not a requirement; write a distribution"),
        ("stem-toy @ file:///a.whl", "requires: 'stem-toy @ file:///a.whl' gives an address, which is refused"),
    ],
)
def test_requirements_that_are_not_met(require: Write, requirement: str, said: str) -> None:
    require("stemcore", requirement)
    (line,) = problems("toy.yaml")
    assert line.startswith(f"toy.yaml:4: {said}")


@pytest.mark.parametrize("requirement", ["stem-toy==1.5", "stem.toy", "gone; python_version<'3'", "stem-toy>=1.dev1"])
def test_requirements_that_are_met(require: Write, requirement: str) -> None:
    require(requirement)
    assert load_recipe("toy.yaml").requires[-1:] == [CORE]


@pytest.mark.parametrize(
    ("value", "said"),
    [("stem-toy", "requires should be a valid list"), ("[stem-toy, 3]", "requires.1 should be a valid string, got 3")],
)
def test_what_is_no_list_of_texts(toy_recipe: Path, value: str, said: str) -> None:
    (line,) = problems("toy.yaml", f"requires={value}")
    assert said in line


def test_what_to_install_comes_first_and_explains_what_follows(
    require: Write, toy_version: Callable[[str], None]
) -> None:
    require("stem-toy>=1,<2")
    toy_version("")
    first, *others = problems("toy.yaml", "seed=-1", "model.type=conv_autoencoder", "optimizer.type=adam")
    assert first == "toy.yaml:4: needs stem-toy>=1,<2, which is not installed; pip install 'stem-toy>=1,<2'"
    assert any(line.endswith("seed should be greater than or equal to 0, got -1") for line in others)
    unknown = [line for line in others if "unknown" in line]
    assert unknown == [
        "toy.yaml:6: data.train: unknown dataset 'toy_scan'; it may come with stem-toy>=1,<2",
        "toy.yaml:9: losses.toy_mse: unknown loss 'toy_mse'; it may come with stem-toy>=1,<2",
    ]


def test_a_missing_distribution_whose_recipe_is_extended(toy: Path, toy_recipe: Path, toy_version: Any) -> None:
    Path("mine.yaml").write_text("extends: toy_recipe\nrequires: [stem-toy]\n")
    assert load_recipe("mine.yaml").requires == ["stem-toy", CORE]
    toy_version("")
    first, second = problems("mine.yaml")
    assert first == "mine.yaml:2: needs stem-toy, which is not installed; pip install stem-toy"
    assert second.startswith("mine.yaml:1: there is no recipe 'toy_recipe'")


def test_extends_adds_requirements_and_replaces_those_of_the_same_distribution(require: Write) -> None:
    require("stem_toy>=9", "numpy>=1", name="base.yaml")
    Path("mine.yaml").write_text("extends: base.yaml\nrequires: [stem-toy>=1, stem-toy<2, pydantic]\n")
    assert load_recipe("mine.yaml").requires == ["numpy>=1", "pydantic", "stem-toy<2", "stem-toy>=1", CORE]
    assert load_recipe("mine.yaml", ["requires=[stem-toy]"]).requires == ["numpy>=1", "pydantic", "stem-toy", CORE]
    assert load_recipe("mine.yaml", ["requires=null"]).requires == ["stem-toy>=1.5", CORE]
    (line,) = problems("base.yaml")
    assert line.startswith("base.yaml:4: needs stem_toy>=9")


def test_overrides_loosen_what_is_not_met(require: Write) -> None:
    require("stem-toy>=9")
    assert load_recipe("toy.yaml", ["requires=[stem-toy>=1]"]).requires == ["stem-toy>=1", CORE]
