"""``stem sample``: what it leaves, and that an item depends on the seed and its number alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stem_diffusion.examples import points, recipe_of_points

from stemcore import load_run
from stemcore import run as train
from stemcore.cli.main import execute


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of points, trained for a moment."""
    folder = tmp_path_factory.mktemp("points")
    points(folder / "points.h5")
    recipe = recipe_of_points(folder / "points.h5")
    recipe["trainer"] = {"max_epochs": 2, "ema": {"decay": 0.9}}
    return train(recipe, output=folder / "run").directory


def sampled(run: Path, out: Path, *options: str) -> np.ndarray:
    assert execute(["sample", str(run), "--out", str(out), *options]) == 0
    return np.load(out / "samples.npy")


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_the_first_items_are_the_same_however_many_are_drawn(run, tmp_path, sampler) -> None:
    many = sampled(run, tmp_path / "many", "-n", "11", "--batch-size", "4", "--sampler", sampler, "--seed", "3")
    few = sampled(run, tmp_path / "few", "-n", "5", "--sampler", sampler, "--seed", "3")
    other = sampled(run, tmp_path / "other", "-n", "5", "--sampler", sampler, "--seed", "4")
    np.testing.assert_allclose(many[:5], few, rtol=1e-4, atol=1e-5)
    assert np.abs(many[:5] - other).min() > 1e-3
    assert len(np.unique(many.round(4), axis=0)) == 11


def test_what_is_left_says_what_it_is(run, tmp_path, capsys) -> None:
    out = tmp_path / "samples"
    options = ("--steps", "7", "--guidance", "2.5", "--condition", "label=below,0", "--seed", "5")
    samples = sampled(run, out, "-n", "3", *options)
    assert capsys.readouterr().out == f"{out}\n"
    assert sorted(p.name for p in out.iterdir()) == ["grid.png", "samples.json", "samples.npy"]
    about = json.loads((out / "samples.json").read_text())
    assert (about["items"], about["seed"], about["sha256"]) == (3, 5, load_run(run).sha256)
    assert about["settings"] == {"sampler": "ddim", "steps": 7, "guidance": 2.5, "eta": 0.0, "clip_denoised": None}
    assert about["conditions"] == {"label": ["below", "left", "below"]}
    assert (samples.shape, samples.dtype) == ((3, 2), np.float32)


def test_conditions_change_the_samples_and_can_be_those_of_held_out_items(run, tmp_path) -> None:
    free, told = (
        sampled(run, tmp_path / name, "-n", "4", *options)
        for name, options in (("free", ()), ("told", ("--condition", "label=0", "--guidance", "4")))
    )
    assert np.abs(free - told).max() > 1e-3
    held_out = load_run(run).items()["val"].read()["label"]
    again = sampled(run, tmp_path / "again", "-n", "4", "--condition-from", "val")
    names = json.loads((tmp_path / "again" / "samples.json").read_text())["conditions"]["label"]
    assert names == [("left", "above", "below")[k] for k in held_out[:4]]
    same = sampled(run, tmp_path / "same", "-n", "4", "--condition", "label=" + ",".join(map(str, held_out[:4])))
    np.testing.assert_array_equal(again, same)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--condition", "label=abov"], "'label' has no class 'abov'; did you mean 'above'?"),
        (["--condition", "label=3"], "the classes 0 to 2, not 3"),
        (["--condition", "lable=0"], "without a field 'lable'; did you mean 'label'?"),
        (["--condition", "label"], "is not NAME=VALUE"),
        (["--condition-from", "test"], "the run keeps no items for 'test'; it has ['train', 'val']"),
        (["--sampler", "ddpm", "--eta", "0.5"], "eta is for the sampler ddim, not for ddpm"),
        (["--guidance", "2"], "--guidance: is for samples under conditions; give one by --condition NAME=VALUE"),
        (["model.hidden=3"], "should be a multiple of 2"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_left(run, tmp_path, capsys, options, says) -> None:
    assert execute(["sample", str(run), "-n", "2", "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert says in said[-1]
    assert not (tmp_path / "out").exists()


def test_every_wrong_condition_is_told_of_at_once(run, tmp_path, capsys) -> None:
    wrong = ["--condition", "label=right", "--condition", "colour=2"]
    assert execute(["sample", str(run), "-n", "2", "--out", str(tmp_path / "out"), *wrong]) == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if "--condition" in line]) == 2


def test_a_folder_that_holds_something_is_left_alone(run, tmp_path, capsys) -> None:
    (tmp_path / "mine.txt").touch()
    assert execute(["sample", str(run), "-n", "2", "--out", str(tmp_path)]) == 2
    assert "there is something already" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_usual_folder_is_named_by_the_seed(run) -> None:
    assert execute(["sample", str(run), "-n", "2", "--seed", "77"]) == 0
    assert (run / "samples" / "seed77" / "samples.npy").is_file()


def test_a_model_that_does_not_sample_is_named(tmp_path, capsys) -> None:
    from stem_diffusion.store_examples import recipe

    encoder = train(recipe(), output=tmp_path / "run").directory
    assert execute(["sample", str(encoder), "-n", "1", "--out", str(tmp_path / "out")]) == 2
    assert "ConvAutoencoder does not sample" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_drawing_while_training_leaves_the_weights_as_they_are(run, tmp_path) -> None:
    recipe = recipe_of_points(run.parent / "points.h5")
    recipe["trainer"] = {"max_epochs": 3, "ema": {"decay": 0.9}}
    told = {"samples": {"n": 5, "every_n_epochs": 2, "conditions": {"label": [0, 2]}, "guidance": 3.0, "steps": 4}}
    weights = {}
    for name, callbacks in (("without", {}), ("with", told)):
        done = train({**recipe, "callbacks": callbacks}, output=tmp_path / name)
        weights[name] = torch.load(done.directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    for name, value in weights["without"].items():
        torch.testing.assert_close(weights["with"][name], value, rtol=0, atol=0)
    drawn = sorted(p.name for p in (tmp_path / "with" / "figures").glob("samples*"))
    assert drawn == ["samples_epoch002.png", "samples_epoch003.png"]
    with Image.open(tmp_path / "with" / "figures" / drawn[0]) as picture:
        assert np.asarray(picture.convert("L")).std() > 5


def test_what_is_to_be_drawn_while_training_is_checked_at_its_start(run, tmp_path) -> None:
    from stemcore import UserError

    recipe = recipe_of_points(run.parent / "points.h5")
    for conditions, says in (({"label": [3]}, "classes 0 to 2, not 3"), ({"colour": [1]}, "no condition 'colour'")):
        recipe["callbacks"] = {"samples": {"conditions": conditions}}
        with pytest.raises(UserError, match=says):
            train(recipe, output=tmp_path / "run")
