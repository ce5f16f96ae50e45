from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stemcore.errors import UserError
from stemcore.recipe import Component, load_recipe

FULL = """
stem: 1
name: full
seed: 3
data:
  train: {type: toy_scan, path: scan.h5, also: [a.h5, /b.h5]}
  val: {type: toy/toy_table, rows: 2}
  test: 0.1
  split: block
  augment: [toy_flip, {type: toy_flip, p: 0.25}]
  transforms: {input: [toy_log, {type: toy_log, base: 2.0}], "yes": [toy_log]}
  sampler: toy_sampler
  pin_memory: false
model: {type: toy_net, latent_dim: 4, act: null, mode: 3}
losses:
  toy_mse: {weight: 0.5, inputs: {prediction: prediction@log1p}}
  rest: {type: toy_penalty, weight: {type: toy_ramp, from: 0.1, to: 1e-4}}
metrics: {toy_psnr: {every_n_steps: 10}}
optimizer:
  one: {type: toy_adam, parameters: ["encoder.*"], losses: [toy_mse]}
  two: {type: toy_sgd, lr: 1e5, losses: [rest]}
scheduler: toy_cosine
trainer: {precision: bf16, devices: [0, 1], early_stopping: {patience: 3}, checkpoint: {every_n_epochs: 2}}
backend: toy_tpu
loggers: [toy_file]
figures: {toy_curve: {every_n_epochs: 5, inputs: {a: b}}}
callbacks: {toy_ema: {p: 3.0}}
"""


def problems(source: Any, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_recipe(source, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_defaults(toy_recipe: Path) -> None:
    recipe = load_recipe("toy.yaml")
    assert (recipe.stem, recipe.name, recipe.seed) == (1, "toy", 42)
    data = recipe.data
    assert (data.val, data.test, data.split, data.batch_size, data.eval_batch_size) == (0.2, 0.0, "item", 128, None)
    assert (data.augment, data.transforms, data.sampler, data.shuffle_buffer_mb) == ([], {}, None, 512.0)
    assert (data.drop_last, data.invalid, data.cache, data.num_workers) == (False, "error", "auto", "auto")
    assert data.pin_memory == "auto"
    trainer = recipe.trainer
    assert (trainer.max_epochs, trainer.max_steps, trainer.precision, trainer.devices) == (50, None, "32", "auto")
    assert (trainer.gradient_clip_val, trainer.early_stopping, trainer.checkpoint.monitor) == (None, None, "val/loss")
    assert (recipe.scheduler, recipe.backend, recipe.loggers, recipe.figures) == (None, None, [], {})
    assert list(recipe.optimizer) == ["default"]
    assert recipe.losses["toy_mse"].weight == 1.0


def test_everything_is_resolved(toy_recipe: Path) -> None:
    toy_recipe.write_text(FULL)
    recipe = load_recipe(toy_recipe)
    train = recipe.data.train
    assert train.arguments == {"path": Path.cwd() / "scan.h5", "size": 4, "also": [Path.cwd() / "a.h5", Path("/b.h5")]}
    assert isinstance(recipe.data.val, Component)
    assert recipe.data.val.type == "toy_table"
    assert [t.arguments["base"] for t in recipe.data.transforms["input"]] == [10.0, 2.0]
    assert recipe.model.arguments["act"] is None
    rest = recipe.losses["rest"]
    assert isinstance(rest.weight, Component)
    assert rest.weight.arguments == {"from_": 0.1, "to": 1e-4}
    assert recipe.losses["toy_mse"].inputs == {"prediction": "prediction@log1p"}
    assert recipe.metrics["toy_psnr"].every_n_steps == 10
    assert recipe.optimizer["one"].parameters == ["encoder.*"]
    assert recipe.optimizer["two"].component.arguments["lr"] == 1e5
    assert (recipe.trainer.precision, recipe.trainer.devices) == ("bf16-mixed", [0, 1])
    assert recipe.backend is not None
    assert recipe.backend.kind == "backend"
    assert recipe.figures["toy_curve"].every_n_epochs == 5
    assert recipe.callbacks["toy_ema"].arguments == {"p": 3.0}
    assert recipe.where(("losses", "rest", "weight")) == f"{toy_recipe}:17"


def test_components_are_built_from_their_arguments(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    net = recipe.model.build("the spec")
    assert (net.spec, net.latent_dim, net.act) == ("the spec", 8, "relu")
    assert recipe.optimizer["default"].component.build(["w"]) == ("adam", ["w"], 1e-3, (0.9, 0.999))


@pytest.mark.parametrize("text", [None, FULL])
def test_written_and_read_again_it_is_equal(toy_recipe: Path, tmp_path: Path, text: str | None) -> None:
    if text:
        toy_recipe.write_text(text)
    recipe = load_recipe(toy_recipe, ["model.copy=true"])
    document, written = recipe.document(), recipe.to_yaml()
    (tmp_path / "again.yaml").write_text(written)
    again = load_recipe(tmp_path / "again.yaml")
    assert again.document() == document
    assert again == recipe
    assert again.to_yaml() == written
    assert load_recipe(document) == recipe
    assert yaml.safe_load(written)["data"] == document["data"]  # readers of YAML 1.1 see the same
    assert list(document)[:7] == ["stem", "name", "seed", "requires", "data", "model", "losses"]


@pytest.mark.parametrize(
    "value", ["1e-4", "yes", "null", "12", "", " a", "a: b", "# c", "2026-01-01", "é\n", "'", "=", "<<"]
)
def test_texts_survive_writing(toy_recipe: Path, tmp_path: Path, value: str) -> None:
    source = load_recipe(toy_recipe).document()
    source["model"]["act"] = value
    (tmp_path / "again.yaml").write_text(load_recipe(source).to_yaml(), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml").model.arguments["act"] == value


def test_everything_wrong_is_reported_at_once(toy_recipe: Path) -> None:
    toy_recipe.write_text("""stem: 2
name: a/b
seed: -1
dat: 3
data:
  train: {type: toy_scan, pth: x, size: 0}
  val: 1.0
  test: true
  split: items
  batch_size: 0
  batch_size: 4
  augment: {}
  transforms: {input: [toy_lag]}
  shuffle_buffer_mb: .inf
model: {type: toy_net, latent_dim: "4", act: 3}
losses:
  toy_mse: {weight: -1, p: true}
  toy_pen: {}
  "a b": {type: toy_mse}
metrics: [toy_psnr]
optimizer: {lr: 1}
scheduler: {floor: 0.1}
trainer: {max_epochs: 1.5, precision: 8, devices: 0, early_stopping: {patient: 3}, gradient_clip_val: 0}
backend: [cpu]
loggers: toy_file
figures: {toy_curve: {every_n_epochs: -1, inputs: {a: 1}}}
""")
    name = str(toy_recipe)
    found = [line.removeprefix(f"{name}:") for line in problems(toy_recipe)]
    expected = [
        "1: stem should be 1, got 2",
        "2: name should match pattern",
        "3: seed should be greater than or equal to 0, got -1",
        "4: unknown key 'dat'; did you mean 'data'?",
        f"11: key 'batch_size' stands here again, first at {name}:10",
        "6: data.train.path is required",
        "6: data.train: unknown key 'pth'; did you mean 'path'?",
        "6: data.train.size should be greater than or equal to 1, got 0",
        "7: data.val should be a share of the training data, at least 0 and less than 1, or a data set, got 1.0",
        "8: data.test should be a share",
        "9: data.split should be 'item', 'block', 'group' or 'given', got \"items\"",
        "10: data.batch_size should be greater than or equal to 1, got 0",
        "12: data.augment should be a list",
        "13: data.transforms.input.0: unknown transform 'toy_lag'; did you mean 'toy_log'?",
        "14: data.shuffle_buffer_mb should be a finite number, got Infinity",
        '15: model.latent_dim should be a valid integer, got "4"',
        "15: model.act should be a valid string, got 3",
        "17: losses.toy_mse.weight should be greater than or equal to 0, got -1",
        "17: losses.toy_mse.p should be a valid number, got true",
        "18: losses.toy_pen: unknown loss 'toy_pen'",
        "19: losses: 'a b' cannot be a name",
        "20: metrics should be a mapping of keys",
        "21: optimizer.type is required",
        "22: scheduler.type is required",
        "23: trainer.max_epochs should be a valid integer, got 1.5",
        "23: trainer.precision should be '32', '16-mixed' or 'bf16-mixed', got 8",
        "23: trainer.devices should be auto, a number of devices, or a list of device numbers, each once, got 0",
        "23: trainer.early_stopping: unknown key 'patient'; did you mean 'patience'?",
        "23: trainer.gradient_clip_val should be greater than 0, got 0",
        "24: backend should be the name of a backend",
        "25: loggers should be a list",
        "26: figures.toy_curve.every_n_epochs should be greater than or equal to 0, got -1",
        "26: figures.toy_curve.inputs.a should be a valid string, got 1",
    ]
    for line in expected:
        assert any(other.startswith(line) for other in found), (line, found)
    assert len(found) == len(expected), set(found) - set(expected)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.batch_size=true", "data.batch_size should be a valid integer, got true"),
        ("data.batch_size='32'", 'data.batch_size should be a valid integer, got "32"'),
        ("data.batch_size=32.5", "data.batch_size should be a valid integer"),
        ("trainer.compile=1", "trainer.compile should be a valid boolean, got 1"),
        ("trainer.devices=true", "trainer.devices should be auto"),
        ("trainer.devices=[0, 0]", "each once"),
        ("trainer.precision=true", "trainer.precision should be '32'"),
        ("data.pin_memory=1", "data.pin_memory should be a valid boolean or 'auto', got 1"),
        ("data.val=true", "data.val should be a share"),
        ("data.val=.nan", "data.val should be a share"),
        ("data.val=nothing", "data.val: unknown dataset 'nothing'"),
        ("data.folds=1", "data.folds should be greater than or equal to 2, got 1"),
        ("data.fold=0", "data.fold is 0, but data.folds is null; set data.folds, too"),
        ("model.mode=c", "model.mode should be 'a' or 'b' or a valid integer, got \"c\""),
        ("model=null", "model is required"),
        ("data=null", "data is required"),
        ("losses=null", "losses is required"),
        ("losses.toy_mse=null", "losses: at least one is required"),
        ("losses.toy_mse.weight=0", "every loss has weight 0"),
        ("losses.toy_mse.weight={type: toy_ramp, form: 1}", "unknown key 'form'; did you mean 'from'?"),
        ("losses.loss={type: toy_penalty}", "'loss' is the name of the total loss"),
        ("losses.toy_mse=3", "losses.toy_mse should be the name of a loss"),
        ("optimizer.losses=[mse]", "optimizer.default.losses names 'mse', which is not one of the losses"),
        ("loggers=[toy_file, toy_file]", "'toy_file' is listed 2 times"),
        ("model.type=toy_gone", "plugin 'toy' (stem-toy) cannot be imported from stem_toy.gone:Net"),
        ("model.type=toy_scan", "there is a dataset of that name"),
        ("model.type=other/toy_net", "unknown model 'other/toy_net'"),
        ("model.type=3", "model should be the name of a model"),
    ],
)
def test_what_is_refused(toy_recipe: Path, override: str, words: str) -> None:
    (line,) = problems(toy_recipe, override)
    assert words in line
    key = override.partition("=")[0]
    assert line.startswith((f"{override} on the command line: ", f"{toy_recipe}:")), key


@pytest.mark.parametrize(
    ("value", "precision"),
    [("32", "32"), ("32-true", "32"), ("'32'", "32"), ("16", "16-mixed"), ("'16'", "16-mixed"), ("bf16", "bf16-mixed")],
)
def test_precisions(toy_recipe: Path, value: str, precision: str) -> None:
    assert load_recipe(toy_recipe, [f"trainer.precision={value}"]).trainer.precision == precision


def test_without_validation(toy_recipe: Path) -> None:
    for off in ("data.val=0", "data.val=null"):
        recipe = load_recipe(toy_recipe, [off])
        assert (recipe.data.val, recipe.trainer.checkpoint.monitor) == (0.0, "train/loss")
    assert load_recipe(toy_recipe, ["data.val=0.0", "trainer.early_stopping.monitor=train/loss"]).trainer.early_stopping
    both = problems(toy_recipe, "data.val=0", "trainer.early_stopping={}", "trainer.checkpoint.monitor=val/loss")
    assert [line.split(" is ")[0].split(": ")[-1] for line in both] == [
        *("trainer.early_stopping.monitor", "trainer.checkpoint.monitor")
    ]
    assert all("data.val is 0" in line for line in both)
    recipe = load_recipe(toy_recipe, ["data.val={type: toy_table}", "trainer.early_stopping={}"])
    assert recipe.trainer.checkpoint.monitor == "val/loss"


def test_folds_validate_whatever_the_share(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe, ["data.folds=5", "data.val=0"])
    assert recipe.trainer.checkpoint.monitor == "val/loss"
    assert recipe.data.every_fold
    assert not load_recipe(toy_recipe, ["data.folds=5", "data.fold=4"]).data.every_fold
    assert not load_recipe(toy_recipe).data.every_fold


def test_folds_that_contradict(toy_recipe: Path) -> None:
    assert problems(toy_recipe, "data.folds=3", "data.fold=3") == [
        "data.fold=3 on the command line: data.fold is 3, but data.folds is 3; choose 0 to 2"
    ]
    (line,) = problems(toy_recipe, "data.folds=3", "data.val={type: toy_scan, path: scan.h5}")
    assert "data.val is a data set of its own; leave out data.val, or data.folds" in line


def test_null_takes_an_inherited_setting_back(toy_recipe: Path) -> None:
    Path("more.yaml").write_text("extends: toy.yaml\nname: more\nmodel: {width: 3.0, act: tanh}\n")
    recipe = load_recipe("more.yaml", ["model.width=null", "model.act=null", "optimizer.lr=null"])
    assert recipe.model.arguments["width"] == 1.0  # not a value it takes: the default
    assert recipe.model.arguments["act"] is None  # a value it takes
    assert recipe.optimizer["default"].component.arguments["lr"] == 1e-3
    (line,) = problems("more.yaml", "model.latent_dim=null")
    assert line.endswith("model.latent_dim is required")
    (line,) = problems("more.yaml", "model.copy=null")
    assert "model.copy should be a valid boolean, got null" in line


def test_plugins_defaults_stand_below_the_recipe(toy_recipe: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stemcore.plugins import catalogue

    known = catalogue()
    monkeypatch.setattr(known, "defaults", {"optimizer": {"type": "toy_adam"}, "seed": 9, "scheduler": "toy_cosine"})
    monkeypatch.setattr(known, "default_of", dict.fromkeys(known.defaults, "toy"))
    toy_recipe.write_text(
        toy_recipe.read_text().replace("optimizer: {type: toy_adam, lr: 1e-3}\n", "scheduler: null\n")
    )
    recipe = load_recipe(toy_recipe, ["optimizer.lr=0.5"])
    assert recipe.optimizer["default"].component.arguments["lr"] == 0.5
    assert (recipe.seed, recipe.scheduler) == (9, None)
    known.defaults["sede"] = 1
    known.default_of["sede"] = "toy"
    assert problems(toy_recipe) == ["default of plugin 'toy': unknown key 'sede'; did you mean 'seed'?"]


def test_mappings(toy: Path, toy_recipe: Path) -> None:
    source = {
        "data": {"train": {"type": "toy_scan", "path": Path("x.h5")}},
        "model": {"type": "toy_net", "latent_dim": 3},
        "losses": {"toy_mse": {}},
        "optimizer": "toy_adam",
        "loggers": (),
    }
    recipe = load_recipe(source)
    assert (recipe.name, recipe.data.train.arguments["path"]) == ("recipe", Path.cwd() / "x.h5")
    found = problems({**source, "model": {"type": "toy_net", "latent_dim": {1, 2}}, "seed": None, 3: 4})
    assert found == [
        "recipe: model.latent_dim: set is not plain data",
        "recipe: 3: a key must be text",
        "recipe: model.latent_dim should be a valid integer, got null",
    ]


def test_a_recipe_cannot_be_changed(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.seed = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        recipe.data.batch_size = 3


def test_reading_imports_no_torch(toy: Path, toy_recipe: Path) -> None:
    code = (
        "import sys; from stemcore.recipe import load_recipe; load_recipe('toy.yaml', ['seed=3']).to_yaml();"
        "heavy = {'torch', 'lightning_fabric', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(toy)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
