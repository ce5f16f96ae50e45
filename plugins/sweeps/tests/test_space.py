"""Space files as a whole, and whether they fit a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from stem_sweeps.space import read_space, refuse_unfit, shipped

from stemcore import UserError, load_recipe


def problems(space: str, recipe: str = "small.yaml", overrides: tuple[str, ...] = ()) -> list[str]:
    Path("space.yaml").write_text(space)
    with pytest.raises(UserError) as caught:
        refuse_unfit(read_space("space.yaml"), recipe, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_all_mistakes_of_a_file_at_once(folder):
    text = "model.latent_dim: 3\noptimizer.lr: {low: 2, high: 1}\nlosses: [1, 2]\nlosses.mse.weight: [1, 2]\n"
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [f"space.yaml:{n}" for n in (1, 2, 4)]
    assert found[2].endswith("losses.mse.weight: it lies within 'losses', which the space sets as well")


def test_a_file_without_keys_or_without_yaml(folder):
    assert problems("")[0].startswith("space.yaml:1: it names no key of a recipe; write a line for each key")
    assert problems("- a\n")[0].startswith("space.yaml:1: it names no key of a recipe")
    assert problems("a: [1\n")[0].startswith("space.yaml:2: not valid YAML")
    assert problems("a: [1, 2]\na: [1, 2]\n")[0] == "space.yaml:2: key 'a' stands here again, first at space.yaml:1"


def test_a_space_that_is_not_there():
    with pytest.raises(UserError, match="--space: there is no space 'nowhere'; give a file, or one of latent, regul"):
        read_space("nowhere")


def test_keys_and_values_that_the_recipe_refuses(folder):
    text = "model.latent_dims: [2, 3]\noptimizer.lr: {low: -1.0, high: 1e-2}\nmodel.channels: [[2], [2, two]]\n"
    found = problems(text)
    assert found[0].startswith("space.yaml:1: model.latent_dims=2: ")
    assert found[0].endswith("did you mean 'latent_dim'?")
    assert "space.yaml:2: optimizer.lr=-1.0: optimizer.lr should be greater than 0, got -1.0" in found
    assert any(line.startswith('space.yaml:3: model.channels=[2, "two"]: model.channels.1 should be') for line in found)


def test_an_override_that_would_have_no_effect(folder):
    (found,) = problems("model.latent_dim: [2, 3]\n", overrides=("model.latent_dim=4",))
    assert found == (
        "model.latent_dim=4 on the command line: the space sets model.latent_dim in every trial; leave one out"
    )
    Path("space.yaml").write_text("model.latent_dim: [2, 3]\n")
    assert refuse_unfit(read_space("space.yaml"), "small.yaml", ("model.blocks=1",)).model.document()["blocks"] == 1


def test_keys_of_one_type_alone_are_checked_beside_it(folder):
    Path("types.yaml").write_text("optimizer.type: [sgd, rmsprop]\noptimizer.momentum: {low: 0.0, high: 0.9}\n")
    first = refuse_unfit(read_space("types.yaml"), "small.yaml", ())  # adam, the recipe's, has no momentum
    assert first.optimizer["default"].component.document() == {
        **first.optimizer["default"].component.document(),
        "type": "sgd",
        "momentum": 0.0,
    }


def test_the_grid_is_every_combination(folder):
    Path("space.yaml").write_text("model.latent_dim: [2, 3]\nmodel.blocks: {low: 0, high: 2}\n")
    points = read_space("space.yaml").grid()
    assert [tuple(point.values()) for point in points] == [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    Path("space.yaml").write_text("model.latent_dim: [2, 3]\noptimizer.lr: {low: 0.1, high: 0.2}\n")
    with pytest.raises(UserError, match=r"space.yaml:2: optimizer.lr: a grid takes lists, or ranges with a step"):
        read_space("space.yaml").grid()


@pytest.mark.parametrize(("name", "recipe"), [("latent", "stem4d"), ("regularizers", "stem4d-guide")])
def test_shipped_spaces_fit_the_recipes_that_they_name(folder, name, recipe):
    assert set(shipped()) == {"latent", "regularizers"}
    space = read_space(name)
    refuse_unfit(space, recipe, ["data.train.path=scan.h5"])
    assert f"stem sweep {recipe} data.train.path=scan.h5 --space {name}" in shipped()[name].read_text()


def test_the_latent_sizes_and_the_weights_are_those_of_the_guide(folder):
    assert read_space("latent").document() == {"model.latent_dim": [16, 32, 64]}
    ends = {p.key: (p.low, p.high) for p in read_space("regularizers").parameters}
    guide = load_recipe("stem4d-guide", ["data.train.path=scan.h5"])
    for key, (low, high) in ends.items():
        assert low < guide.losses[key.split(".")[1]].weight < high
