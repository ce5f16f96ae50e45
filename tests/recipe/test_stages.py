"""Ladders as documents: what stages are made from, what they read of one another, and what is wrong in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stemcore import UserError, load_recipe
from stemcore.recipe import Recipe
from stemcore.recipe.load import load
from stemcore.recipe.stages import LadderRecipe, RecipeStage, VerbStage, named, placed

RECIPE = """
stem: 1
name: base
seed: 3
data: {train: {type: sample}}
model: {type: conv_autoencoder, latent_dim: 4, channels: [8, 16]}
losses: {mse: {}}
loggers: []
figures: {}
callbacks: {}
"""
LADDER = """# Two runs and what is between them.
stem: 1
name: small
seed: 7
stages:
  first:
    extends: base.yaml
    model: {latent_dim: 6}
  codes:
    verb: encode
    arguments: ["stage:first"]
    options: {out: latents.h5}
  second:
    extends: base.yaml
    seed: 11
    data: {train: {type: hdf5, path: "stage:codes", dataset: latents}}
    model: {channels: [8]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(RECIPE)
    (tmp_path / "ladder.yaml").write_text(LADDER)
    return tmp_path


def read(folder: Path, *overrides: str, name: str = "ladder.yaml") -> LadderRecipe:
    found = load(folder / name, overrides)
    assert isinstance(found, LadderRecipe)
    return found


def recipe_of(ladder: LadderRecipe, name: str) -> Recipe:
    stage = ladder.stages[name]
    assert isinstance(stage, RecipeStage)
    return stage.recipe


def problems(folder: Path, *overrides: str, text: str = "") -> list[str]:
    if text:
        (folder / "ladder.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read(folder, *overrides)
    return [str(problem).replace(str(folder) + "/", "") for problem in caught.value.problems]


def test_a_stage_is_a_recipe_of_its_own(folder: Path) -> None:
    ladder = read(folder)
    assert list(ladder.stages) == ["first", "codes", "second"]
    first, second = recipe_of(ladder, "first"), recipe_of(ladder, "second")
    alone = load_recipe(folder / "base.yaml", ["model.latent_dim=6", "name=small-first", "seed=7"])
    assert first.document() == alone.document()
    assert (second.name, second.seed) == ("small-second", 11)
    assert (ladder.stages["second"].reads, ladder.stages["codes"].reads) == (("codes",), ("first",))


def test_what_a_stage_reads_has_a_path_once_there_is_a_directory(folder: Path) -> None:
    ladder = read(folder)
    places = ladder.places(Path("/out"))
    assert places == {
        "first": Path("/out/first"),
        "codes": Path("/out/codes/latents.h5"),
        "second": Path("/out/second"),
    }
    second = ladder.stages["second"]
    assert isinstance(second, RecipeStage)
    assert second.on(places).data.train.arguments["path"] == Path("/out/codes/latents.h5")
    assert second.document()["data"]["train"]["path"] == "stage:codes"


@pytest.mark.parametrize(
    ("value", "stage", "path"),
    [("stage:a", "a", "/x/a"), ("stage:a/b/c.h5", "a", "/x/a/b/c.h5"), ("stages:a", None, "stages:a"), (3, None, 3)],
)
def test_values_that_stand_for_what_a_stage_leaves(value: Any, stage: str | None, path: Any) -> None:
    assert named(value) == stage
    assert placed(value, {"a": Path("/x/a")}) == path


def test_resolved_it_is_the_same_ladder(folder: Path) -> None:
    ladder = read(folder, "first.trainer.max_epochs=3", "name=other")
    text = ladder.to_yaml()
    assert str(folder) not in text
    (folder / "resolved.yaml").write_text(text)
    again = read(folder, name="resolved.yaml")
    assert again.document() == ladder.document() == load(yaml.safe_load(text)).document()
    assert again.name == "other"
    assert recipe_of(again, "first").trainer.max_epochs == 3


def test_overrides_go_to_a_stage_by_its_name(folder: Path) -> None:
    changes = [
        "stages.first.trainer.max_epochs=5",
        "second.model.latent_dim=2",
        "codes.options.out=codes.npz",
        "seed=9",
    ]
    ladder = read(folder, *changes)
    first, second = recipe_of(ladder, "first"), recipe_of(ladder, "second")
    assert (first.trainer.max_epochs, first.seed) == (5, 9)
    assert (second.model.arguments["latent_dim"], second.seed) == (2, 11)
    assert ladder.stages["codes"].document()["options"] == {"out": "codes.npz"}
    assert list(read(folder, "stages.second=null").stages) == ["first", "codes"]


def test_a_ladder_that_extends_another_changes_its_stages(folder: Path) -> None:
    above = "extends: ladder.yaml\nstages:\n  first: {model: {latent_dim: 5}}\n  codes: {options: {dtype: float16}}\n"
    (folder / "above.yaml").write_text(above + "  second: null\n  third: {extends: base.yaml}\n")
    ladder = read(folder, name="above.yaml")
    assert list(ladder.stages) == ["first", "codes", "third"]
    assert recipe_of(ladder, "first").model.arguments["latent_dim"] == 5
    assert recipe_of(ladder, "first").model.arguments["channels"] == [8, 16]
    assert ladder.stages["codes"].document()["options"] == {"out": "latents.h5", "dtype": "float16"}
    (folder / "above.yaml").write_text("extends: ladder.yaml\nstages: {codes: {extends: base.yaml}}\n")
    assert isinstance(load(folder / "above.yaml", ["second.data.train={type: sample}"]).stages["codes"], RecipeStage)
    (folder / "above.yaml").write_text("extends: ladder.yaml\nstages: {codes: {verb: evaluate}}\n")
    (codes,) = (s for s in load(folder / "above.yaml", ["stages.second=null"]).stages.values() if s.name == "codes")
    assert isinstance(codes, VerbStage)
    assert (codes.arguments, codes.options) == ((), {})


WRONG = """stem: 1
name: small
modle: x
stages:
  first:
    extends: base.yaml
    model: {latnt_dim: 6}
  codes:
    verb: encode
    arguments: ["stage:second", "stage:frist"]
    options: {out: ../latents.h5, data: {a: 1}}
    option: 3
  checkpoints: {extends: base.yaml}
  second:
    data: {train: {type: hdf5, path: "stage:second"}}
    trainer: {max_epochs: many}
  third: 4
"""


def test_every_mistake_of_all_stages_is_told_of_at_once(folder: Path) -> None:
    found = problems(folder, text=WRONG)
    assert found == [
        "ladder.yaml:3: unknown key 'modle' of a ladder; known: name, requires, seed, stages, stem",
        "ladder.yaml:7: stages.first: model: unknown key 'latnt_dim'; did you mean 'latent_dim'?",
        "ladder.yaml:10: stages.codes: 'stage:second' is a later stage; stages run in their order",
        "ladder.yaml:10: stages.codes: 'stage:frist': there is no stage 'frist'; did you mean 'first'?",
        "ladder.yaml:12: stages.codes: unknown key 'option' of a verb; did you mean 'options'?",
        "ladder.yaml:11: stages.codes: data should be text, a number or true or false",
        "ladder.yaml:11: stages.codes: options.out should be a path within the stage's folder; "
        "write a name, such as latents.h5",
        "ladder.yaml:13: stages.checkpoints: cannot be the name of a stage; use letters, digits, _ and -",
        "ladder.yaml:15: stages.second: 'stage:second' is the stage itself; stages run in their order",
        "ladder.yaml:14: stages.second: model is required",
        "ladder.yaml:14: stages.second: losses is required",
        'ladder.yaml:16: stages.second: trainer.max_epochs should be a valid integer, got "many"',
        "ladder.yaml:17: stages.third: should be a recipe, or a verb with arguments and options",
    ]


def test_ladders_are_not_stages_and_do_not_go_in_circles(folder: Path) -> None:
    (folder / "other.yaml").write_text(LADDER)
    text = LADDER.replace("  codes:\n", "  more: {extends: other.yaml}\n  codes:\n")
    assert problems(folder, text=text) == ["other.yaml:5: stages.more: a stage is one recipe, not a ladder"]
    text = LADDER.replace("  codes:\n", "  more: {extends: ladder.yaml}\n  codes:\n")
    (circle,) = problems(folder, text=text)
    assert re.search("recipes extend each other in a circle: ladder.yaml -> ladder.yaml$", circle)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("frst.seed=3", "there is no stage 'frst'; did you mean 'first'?"),
        ("stages.frst.seed=3", "there is no stage 'frst'; did you mean 'first'?"),
        ("first.model.latnt_dim=3", "stages.first: model: unknown key 'latnt_dim'; did you mean 'latent_dim'?"),
        ("first.extends=x", "stages.first: 'extends' works in a file alone"),
        ("codes.options.out=", "stages.codes: an override without a value; write stages.codes.options.out=null"),
        ("trainer.max_epochs=3", "there is no stage 'trainer'"),
        ("stages=null", "stages: at least one is required"),
    ],
)
def test_overrides_that_are_wrong(folder: Path, override: str, said: str) -> None:
    (found,) = problems(folder, override)
    assert said in found
    assert found.startswith(f"{override.partition('=')[0]}=") or found.startswith(f"stages.{override} on the command")


def test_what_takes_one_recipe_says_that_these_are_several(folder: Path) -> None:
    with pytest.raises(UserError, match=r"ladder.yaml:5: these are several stages, not one recipe; 'stem run'"):
        load_recipe(folder / "ladder.yaml")
