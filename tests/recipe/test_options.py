"""Sections of a recipe by name, from the files of plugins and the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest

from stemcore import hookimpl
from stemcore.errors import UserError
from stemcore.plugins import catalogue
from stemcore.recipe import load_recipe
from stemcore.recipe.schema import json_schema

OPTIONS = {
    "model/deep": "# Deep.\ntype: toy_unet\ndepth: 9\n",
    "model/wide": "# Wide.\ntype: toy_net\nwidth: 4.0\nlatent_dim: 5\n",
    "losses/both": "# Both.\ntoy_mse: {weight: 1.0}\ntoy_penalty: {weight: 0.1, eps: 1e-3}\n",
    "optimizer/steps": "# Steps.\ntype: toy_sgd\nlr: 0.1\n",
    "trainer/short": "# Short.\nmax_epochs: 2\n",
    "data/large": "# Large.\nbatch_size: 512\n",
    "loggers/file": "# Files.\n- toy_file\n- {type: toy_file}\n",
    "figures/none": "# None.\ntoy_curve: {}\n",
}
Offer = Callable[[str, dict[str, str]], None]


@pytest.fixture
def offer(toy: Path) -> Offer:
    """Adds a plugin of a name, with option files."""

    def add(plugin: str, options: dict[str, str]) -> None:
        names = {name: f"stem_toy:options/{plugin}/{name}.yaml" for name in options}
        for name, text in options.items():
            path = toy / "stem_toy" / "options" / plugin / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        hook = f"from stemcore import hookimpl\n\n@hookimpl\ndef stem_options():\n    return {names!r}\n"
        (toy / "stem_toy" / f"{plugin}.py").write_text(hook)
        points = toy / "stem_toy-1.5.dist-info" / "entry_points.txt"
        points.write_text(f"{points.read_text()}{plugin} = stem_toy.{plugin}\n")
        catalogue.cache_clear()

    return add


@pytest.fixture
def options(offer: Offer, toy_recipe: Path) -> Path:
    """The recipe ``toy.yaml``, where a plugin ``sets`` offers options."""
    offer("sets", OPTIONS)
    return toy_recipe


def problems(recipe: Path | str, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_recipe(recipe, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_component_is_laid_over_the_recipes(options: Path) -> None:
    recipe = load_recipe(options, ["model=wide", "model.act=tanh"])
    assert recipe.model.arguments["width"] == 4.0
    assert (recipe.model.arguments["latent_dim"], recipe.model.arguments["act"]) == (5, "tanh")
    assert recipe.where(("model", "width")) == "model/wide.yaml:3"
    options.write_text(options.read_text().replace("latent_dim: 8", "latent_dim: 8, mode: b"))
    assert load_recipe(options, ["model=wide"]).model.arguments["mode"] == "b"


def test_another_type_drops_the_settings_of_the_old_one(options: Path) -> None:
    assert load_recipe(options, ["model=deep"]).model.arguments == {"depth": 9}
    assert load_recipe(options, ["optimizer=steps"]).optimizer["default"].component.arguments["lr"] == 0.1
    groups = "optimizer={a: {type: toy_adam, parameters: [x]}}"
    assert set(load_recipe(options, ["optimizer=steps", groups]).optimizer) == {"a"}


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=deep", "model.depth=3"],
        ["model.depth=3", "model=deep"],
        ["model=wide", "model.depth=3", "model=deep"],
        ["model=null", "model={type: toy_net, act: x}", "model.depth=3", "model=deep"],
        ["model=wide", "model=toy_unet", "model.depth=3"],
        ["model=sets/deep", "model.depth=3"],
    ],
)
def test_what_is_written_out_comes_after_options_and_later_options_after_earlier(
    options: Path, overrides: list[str]
) -> None:
    assert load_recipe(options, overrides).model.arguments == {"depth": 3}


def test_a_component_that_is_named_after_an_option_takes_its_place(options: Path) -> None:
    assert load_recipe(options, ["model=deep", "model=toy_net", "model.latent_dim=2"]).model.type == "toy_net"
    assert problems(options, "model=deep", "model=null") == ["model=null on the command line: model is required"]


def test_sections_keyed_by_name_are_replaced_and_others_are_laid_over(options: Path) -> None:
    recipe = load_recipe(
        options, ["losses.toy_penalty.weight=2", "losses=both", "trainer=short", "data=large", "figures=none"]
    )
    assert {key: term.weight for key, term in recipe.losses.items()} == {"toy_mse": 1.0, "toy_penalty": 2}
    assert recipe.losses["toy_penalty"].component.arguments == {"eps": 1e-3}
    assert (recipe.trainer.max_epochs, recipe.data.batch_size) == (2, 512)
    assert recipe.data.train.arguments["path"].name == "scan.h5"
    assert set(recipe.figures) == {"toy_curve"}
    one = load_recipe(options, ["losses={mine: {type: toy_penalty}}"])
    assert set(one.losses) == {"toy_mse", "mine"}


def test_a_list_of_loggers(options: Path) -> None:
    (said,) = problems(options, "loggers=file", "trainer=short")
    assert said == "loggers/file.yaml:1: loggers: 'toy_file' is listed 2 times"


def test_in_a_recipe_and_in_those_it_extends(options: Path) -> None:
    Path("base.yaml").write_text(
        options.read_text().replace("model: {type: toy_net, latent_dim: 8}", "model: wide\nmetrics: {toy_psnr: {}}")
    )
    Path("top.yaml").write_text("extends: base.yaml\nname: top\nmodel: {width: 1.5}\nlosses: both\n")
    recipe = load_recipe("top.yaml")
    assert {k: recipe.model.arguments[k] for k in ("width", "latent_dim")} == {"width": 1.5, "latent_dim": 5}
    assert set(recipe.losses) == {"toy_mse", "toy_penalty"}
    Path("last.yaml").write_text("extends: top.yaml\nname: last\nlosses: {toy_mse: null}\n")
    assert set(load_recipe("last.yaml").losses) == {"toy_penalty"}
    Path("other.yaml").write_text("losses: {toy_mse: {p: 1.0}, mine: {type: toy_penalty}}\n")
    Path("two.yaml").write_text("extends: [base.yaml, other.yaml, last.yaml]\nname: two\n")
    assert set(load_recipe("two.yaml").losses) == {"toy_penalty"}
    mapping = {**load_recipe("base.yaml").document(), "model": "deep"}
    assert load_recipe(mapping).model.arguments == {"depth": 9}


def test_ones_own_file(options: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.yaml").write_text("type: toy_unet\ndepth: 4\n")
    assert load_recipe(options, ["model=sub/mine.yaml"]).model.arguments == {"depth": 4}
    assert load_recipe(options, [f"model={tmp_path}/sub/mine.yaml"]).model.arguments == {"depth": 4}
    (tmp_path / "sub" / "recipe.yaml").write_text("extends: ../toy.yaml\nname: a\nmodel: mine.yaml\n")
    recipe = load_recipe("sub/recipe.yaml")
    assert recipe.model.arguments == {"depth": 4}
    assert recipe.where(("model", "depth")) == "mine.yaml:2"


def test_a_resolved_recipe_needs_no_option(options: Path) -> None:
    recipe = load_recipe(options, ["model=deep", "losses=both"])
    assert "deep" not in recipe.to_yaml()
    assert load_recipe(recipe.document()).document() == recipe.document()


def test_mistakes_in_a_file_are_placed_there(options: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("type: toy_unet\ndpth: 4\n")
    assert problems(options, "model=mine.yaml") == [
        "mine.yaml:2: model: unknown key 'dpth'; did you mean 'depth'?",
    ]
    (tmp_path / "mine.yaml").write_text("type: toy_unet\ndepth: [4\n")
    (tmp_path / "list.yaml").write_text("- toy_unet\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    said = problems(options, "model=mine.yaml", "losses=list.yaml", "data=empty.yaml", "trainer=gone.yaml", "seed=x")
    assert sorted(line.partition(": ")[0] for line in said) == [
        "empty.yaml:1",
        "list.yaml:1",
        "mine.yaml:3",
        "seed=x on the command line",
        "trainer=gone.yaml on the command line",
    ]


def test_an_option_that_there_is_not(options: Path) -> None:
    assert "did you mean the option 'deep'?" in problems(options, "model=deap")[0]
    assert re.search("options: deep, (.*, )?wide", problems(options, "model=zzz")[0])
    assert "write model=deep" in problems(options, "model.type=deep")[0]
    said = problems(options, "losses=boht", "losses.toy_mse.weight=2", "trainer=zzz", "loggers=fil", "data=larg")
    assert sorted(line.partition(" on the")[0] for line in said) == [
        "data=larg",
        "loggers=fil",
        "losses=boht",
        "trainer=zzz",
    ]
    assert all("the name of an option, which" in line for line in said)
    options.write_text(options.read_text().replace("losses:\n  toy_mse: {}\n", "losses: boht\n"))
    assert "did you mean 'both'?" in problems(options, "losses.toy_mse.weight=2")[0]


def test_a_name_that_two_plugins_offer_is_qualified(options: Path, offer: Offer) -> None:
    offer("others", {"model/deep": "# D.\ntype: toy_unet\ndepth: 2\n", "model/toy_unet": "# U.\ntype: toy_unet\n"})
    (said,) = problems(options, "model=deep")
    assert "an option of plugin 'others' (stem-toy) and an option of plugin 'sets' (stem-toy)" in said
    assert "write model=others/deep or model=sets/deep" in said
    assert load_recipe(options, ["model=others/deep"]).model.arguments == {"depth": 2}
    (said,) = problems(options, "model=toy_unet")
    assert "'toy_unet' is a model of plugin 'toy' (stem-toy) and an option of plugin 'others'" in said
    assert load_recipe(options, ["model.type=toy_unet"]).model.arguments == {"depth": 3}
    assert load_recipe(options, ["model=toy/toy_unet"]).model.arguments == {"depth": 3}


@pytest.mark.parametrize("name", ["deep", "model/deep/er", "model/", "Model/deep", "/deep"])
def test_names_that_are_none(offer: Offer, name: str) -> None:
    offer("sets", {})
    module = import_module("stem_toy.sets")
    module.stem_options = hookimpl(lambda: {name: "stem_toy:options/x.yaml"})
    catalogue.cache_clear()
    (trouble,) = [trouble for trouble in catalogue().troubles if trouble.plugin == "sets"]
    assert trouble.cause.endswith("is not 'section/name' and 'package:folder/file.yaml'")


def test_the_schema_has_options_and_files(options: Path) -> None:
    schema = json_schema()
    errors = jsonschema.Draft202012Validator(schema).iter_errors
    written = {"stem": 1, "name": "a", "data": {"train": {"type": "toy_scan", "path": "x"}}, "model": "deep"}
    for right in (
        {"losses": "both", "optimizer": "mine.yaml", "trainer": "sub/mine.yml", "loggers": "file"},
        {"losses": {"toy_mse": {}}, "figures": "none", "data": "large"},
        {"extends": "other", "losses": "both", "model": "wide"},
    ):
        assert list(errors({**written, **right})) == []
    for section, wrong in (
        ("losses", "bth"),
        ("model", "dep"),
        ("metrics", "both"),
        ("loggers", "deep"),
        ("trainer", "x"),
    ):
        assert [list(error.absolute_path) for error in errors({**written, section: wrong})] == [[section]]
    offered = schema["else"]["properties"]["model"]["anyOf"][0]
    named = dict(zip(offered["enum"], offered["markdownEnumDescriptions"], strict=True))
    assert (named["deep"], named["wide"]) == ("Deep.", "Wide.")
    for branch in ("then", "else"):
        assert schema[branch]["properties"]["losses"]["anyOf"][0]["enum"][0] == "both"
