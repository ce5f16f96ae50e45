from __future__ import annotations

from pathlib import Path

import pytest

from stemcore.errors import Problem, UserError
from stemcore.recipe import load_recipe
from stemcore.recipe.overrides import read_overrides


def read(*overrides: str) -> object:
    problems: list[Problem] = []
    tree = read_overrides(overrides, problems)
    assert problems == []
    return tree.changes.plain()


def test_values_are_yaml() -> None:
    assert read("a.b=1e-4", "a.c=true", "d=[1, x]", "e={f: null}", "g=a=b", "h='1'", "i=yes") == {
        "a": {"b": 1e-4, "c": True},
        "d": [1, "x"],
        "e": {"f": None},
        "g": "a=b",
        "h": "1",
        "i": "yes",
    }


def test_later_ones_win_and_add_up() -> None:
    assert read("a.b=1", "a.b=2", "a.c=3") == {"a": {"b": 2, "c": 3}}
    assert read("a.b=1", "a=null") == {"a": None}
    assert read("a=null", "a.b=1") == {"a": {"b": 1}}
    assert read("l=[{x: 1}, 2]", "l.0.x=5") == {"l": [{"x": 5}, 2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("novalue", "without '='"),
        ("=3", "empty key"),
        ("a..b=3", "empty key"),
        ("a.=3", "empty key"),
        ("a=", "without a value; write a=null"),
        ("a=[1", "not valid YAML"),
        ("a={b: 1, b: 2}", "stands here again"),
        ("a=!!python/name:os.system x", "refused"),
        ("extends=other", "in a file alone"),
    ],
)
def test_malformed_ones(text: str, words: str) -> None:
    problems: list[Problem] = []
    read_overrides(["x=1", text, "y=2"], problems)
    assert len(problems) == 1
    assert words in str(problems[0])
    assert problems[0].where == f"{text} on the command line"


def test_on_a_recipe(toy_recipe: Path) -> None:
    toy_recipe.write_text(
        toy_recipe.read_text().replace("data:\n", "data:\n  augment: [toy_flip, {type: toy_flip, p: 1}]\n")
    )
    recipe = load_recipe(
        toy_recipe,
        [
            "data.augment.0.p=0.3",
            "losses.toy_penalty.weight=2",
            "seed=7",
            "trainer.max_epochs=3",
            "scheduler=toy_cosine",
        ],
    )
    assert [a.arguments["p"] for a in recipe.data.augment] == [0.3, 1.0]
    assert recipe.losses["toy_penalty"].weight == 2.0
    assert (recipe.seed, recipe.trainer.max_epochs) == (7, 3)
    assert recipe.scheduler is not None
    assert recipe.where(("seed",)) == "seed=7 on the command line"


def test_elements_of_lists_by_their_types(toy_recipe: Path) -> None:
    toy_recipe.write_text(toy_recipe.read_text().replace("data:\n", "data:\n  augment: [toy_flip]\n"))
    given = ["data.augment.toy_flip.p=0.25", "loggers=[toy_file]", "loggers.toy_file.base=2.0"]
    recipe = load_recipe(toy_recipe, given)
    assert recipe.data.augment[0].arguments["p"] == 0.25
    assert recipe.loggers[0].arguments == {"base": 2.0}
    with pytest.raises(
        UserError, match=r"data\.augment has no element 'noise'; it is \[toy_flip\]; to add it: data\.au"
    ):
        load_recipe(toy_recipe, ["data.augment.noise.std=1"])


def test_type_and_its_keys_come_in_any_order(toy_recipe: Path) -> None:
    for overrides in (["model.type=toy_unet", "model.depth=5"], ["model.depth=5", "model.type=toy_unet"]):
        model = load_recipe(toy_recipe, overrides).model
        assert (model.type, model.arguments) == ("toy_unet", {"depth": 5})


def test_unknown_keys_are_caught(toy_recipe: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(toy_recipe, ["model.latent=3", "nothing.at.all=1", "data.train.0=2", "data.augment.0.p=1"])
    lines = [str(p) for p in caught.value.problems]
    assert "model.latent=3 on the command line: model: unknown key 'latent'; did you mean 'latent_dim'?" in lines
    assert any("unknown key 'nothing'" in line for line in lines)
    assert any("data.train: unknown key '0'" in line for line in lines)
    assert any("data.augment should be a list" in line for line in lines)
