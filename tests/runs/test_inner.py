"""Runs inside runs: how a recipe names one, what keeps it as it is, and what happens when it is not."""

from __future__ import annotations

import copy
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stemcore import FrozenRun, Run, UserError, load_recipe, load_run, run
from stemcore.assemble import assemble, check
from stemcore.plugins import catalogue
from stemcore.progress import Reporter
from stemcore.trainer import checkpoint
from tests.conftest import SMALL, bundled_patterns, changed
from tests.runs import refiners

QUIET = Reporter()
Made = Callable[..., Run]


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The models, found as those of an installed plugin are."""
    site = tmp_path_factory.mktemp("site")
    info = site / "stem_refiners-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-refiners\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stemcore]\nrefiners = {refiners.__name__}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        catalogue.cache_clear()
        yield
    catalogue.cache_clear()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, plugin: None) -> Iterator[Path]:
    """A folder with scan.h5, the run ``ae`` on it, and the run ``refined`` that uses it."""
    import h5py

    folder = tmp_path_factory.mktemp("inner")
    with h5py.File(folder / "scan.h5", "w") as file:
        file["patterns"] = bundled_patterns()[:96]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        run(autoencoder(folder), output=folder / "ae", fast_dev_run=True, reporter=QUIET)
        run(refined(folder, base=folder / "ae"), output=folder / "refined", fast_dev_run=True, reporter=QUIET)
        yield folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """The folder, copied: its runs are where nothing else looks for them, and the outer one is told so."""
    place = tmp_path / "runs"
    shutil.copytree(trained, place)
    for path in (place / "refined" / "recipe.yaml", place / "refined" / "environment.json"):
        path.write_text(path.read_text().replace(str(trained / "ae"), str(place / "ae")))
    return place


def autoencoder(folder: Path, **changes: Any) -> dict[str, Any]:
    """The recipe of an autoencoder of the patterns."""
    data = {"train": {"type": "hdf5", "path": str(folder / "scan.h5")}, "batch_size": 32}
    base = changed(SMALL, {"data": data, "losses": {"lp": None}, "metrics": {"psnr": None}, "trainer": {}})
    base["data"]["transforms"] = {"input": ["log1p", "standardize"]}
    return changed(base, changes)


def refined(folder: Path, base: Any, **changes: Any) -> dict[str, Any]:
    """The recipe of a run that refines another."""
    base = str(base) if isinstance(base, Path) else base
    return autoencoder(folder, **changes) | {"model": {"type": "refiner", "base": base}}


def weights_of(found: Run) -> dict[str, torch.Tensor]:
    return torch.load(found.checkpoint, weights_only=True)["weights"]


def test_a_frozen_run_is_the_model_that_was_trained(trained: Path) -> None:
    inner = load_run(trained / "ae")
    frozen = inner.frozen()
    loaded, _ = inner.load()
    stored = torch.from_numpy(bundled_patterns()[:4, None].astype("int64"))
    given = loaded.parts.pipeline({"input": stored, "index": torch.arange(4)})["input"]
    torch.testing.assert_close(frozen.to_model("input", stored), given)
    with torch.no_grad():
        prediction = frozen.model(input=given)["prediction"]
        loaded.model.eval()
        torch.testing.assert_close(prediction, loaded.model(input=given)["prediction"], rtol=0, atol=0)
    torch.testing.assert_close(frozen.to_stored("input", given), stored.float(), rtol=1e-4, atol=1e-3)
    physical = loaded.parts.pipeline.chain("input").inverse(prediction)
    torch.testing.assert_close(frozen.to_physical("prediction", prediction), physical)
    assert dict(frozen.fields) == dict(inner.fields)
    assert frozen.spec["input"].shape == (1, 16, 16)
    with pytest.raises(UserError, match="no field 'inpt'; did you mean 'input'"):
        frozen.to_model("inpt", stored)


def test_gradients_pass_through_and_stop_at_its_weights(trained: Path) -> None:
    frozen = load_run(trained / "ae").frozen()
    stored = torch.rand(2, 1, 16, 16, requires_grad=True)
    prediction = frozen.model(input=frozen.to_model("input", stored))["prediction"]
    frozen.to_stored("prediction", prediction).sum().backward()
    assert stored.grad is not None
    assert stored.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in frozen.model.parameters())


def test_within_a_model_it_is_no_part_of_what_is_trained(trained: Path) -> None:
    parts = assemble(load_recipe(refined(trained, trained / "ae")))
    model = parts.build_model()
    frozen = model.base
    assert isinstance(frozen, FrozenRun)
    assert set(model.state_dict()) == {"change.weight", "change.bias"}
    assert {n for n, _ in model.named_parameters()} == {"change.weight", "change.bias"}
    model.load_state_dict(model.state_dict())
    model.train().requires_grad_(True)
    assert not frozen.model.training
    assert not any(p.requires_grad for p in frozen.model.parameters())
    model.to(torch.float64)
    assert {p.dtype for p in frozen.model.parameters()} == {torch.float64}
    assert copy.deepcopy(model).base.model is frozen.model
    assert {p.device.type for p in parts.skeleton.base.model.parameters()} == {"meta"}


def test_the_weights_of_the_outer_model_do_not_depend_on_the_inner_one(trained: Path, tmp_path: Path) -> None:
    """The inner model is built with a seed's numbers of its own."""
    other = autoencoder(trained, model={"latent_dim": 2})
    run(other, output=tmp_path / "other", fast_dev_run=True, reporter=QUIET)
    built = [
        assemble(load_recipe(refined(trained, place))).build_model() for place in (trained / "ae", tmp_path / "other")
    ]
    assert torch.equal(built[0].change.weight, built[1].change.weight)


def test_the_run_says_which_other_one_it_used(trained: Path) -> None:
    inner, outer = load_run(trained / "ae"), load_run(trained / "refined")
    address = {"path": str(trained / "ae"), "sha256": inner.sha256}
    written = yaml.safe_load((outer.directory / "recipe.yaml").read_text())
    assert written["model"]["base"] == address
    assert json.loads((outer.directory / "environment.json").read_text())["runs"] == {
        "model.base": {**address, "relative": "../ae"}
    }
    assert torch.load(outer.checkpoint, weights_only=True)["runs"] == {"model.base": inner.sha256}
    assert set(weights_of(outer)) == {"model.change.weight", "model.change.bias", *TRANSFORMED}
    assert load_recipe(outer.directory / "recipe.yaml") == load_recipe(written)
    frozen = sum(p.numel() for p in inner.frozen().model.parameters())
    lines = check(outer.recipe)
    assert any(f"model refiner: 10 parameters and {frozen:,} frozen ones" in line for line in lines)
    assert f"run model.base: {trained / 'ae'}, SHA-256 {inner.sha256}" in lines


TRANSFORMED = [f"transforms.chains.input.steps.1.{n}" for n in ("mean", "std")]


def test_the_inner_weights_are_as_they_were_after_training(trained: Path) -> None:
    before, after = weights_of(load_run(trained / "ae")), load_run(trained / "refined").load()[0].model.base
    for name, value in after.model.state_dict().items():
        assert torch.equal(value, before[checkpoint.MODEL + name]), name


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (3, "model.base should be the path of a run, or a mapping of its path and sha256, got 3"),
        ({"pth": "x", "path": "y"}, "unknown key 'pth'; did you mean 'path'?"),
        ({"path": "y", "sha256": "12"}, "model.base.sha256 should match pattern"),
    ],
)
def test_what_is_no_run_is_refused_by_the_recipe(trained: Path, base: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        load_recipe(refined(trained, base))
    assert said in str(error.value)


def test_a_run_that_is_not_there_is_told_of_with_all_else(runs: Path) -> None:
    recipe = refined(runs, runs / "nowhere", data={"train": {"path": str(runs / "none.h5")}})
    path = runs / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    line = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if "nowhere" in text)
    checked = load_recipe(path)  # whose runs are looked for when they are wanted
    with pytest.raises(UserError) as error:
        assemble(checked)
    first, second = (str(problem) for problem in error.value.problems)
    assert first.startswith(f"{path}:{line}: model.base: {runs / 'nowhere'}: there is no such run or checkpoint;")
    assert "none.h5: there is no such file" in second


def test_a_run_that_was_trained_on_is_refused(runs: Path) -> None:
    path = load_run(runs / "ae").checkpoint
    contents = torch.load(path, weights_only=True)
    contents["weights"]["model.decoder.0.0.bias"] += 1
    checkpoint.save(path, contents)
    said = f"model.base: {runs / 'ae'} has been trained on since, or is another run"
    outer = load_run(runs / "refined")
    with pytest.raises(UserError, match=said):
        outer.load()
    with pytest.raises(UserError, match=said):
        run("", resume=runs / "refined", reporter=QUIET)
    recipe = runs / "refined" / "recipe.yaml"
    document = yaml.safe_load(recipe.read_text())
    del document["model"]["base"]["sha256"]  # nor is it forgotten when the recipe is changed
    recipe.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=r"it was trained with a run as model.base whose SHA-256 begins with"):
        load_run(runs / "refined").load()


def test_a_run_that_was_moved_can_be_given_anew(runs: Path, trained: Path) -> None:
    expected = load_run(runs / "refined").load()[0].model.base.model.state_dict()
    moved = runs / "archive" / "ae"
    moved.parent.mkdir()
    (runs / "ae").rename(moved)
    with pytest.raises(UserError, match="there is no such run or checkpoint"):
        load_run(runs / "refined").load()
    given = [f"model.base={moved}"]
    loaded, _ = load_run(runs / "refined", given).load()
    assert all(torch.equal(loaded.model.base.model.state_dict()[n], value) for n, value in expected.items())
    again = run("", resume=runs / "refined", overrides=[*given, "trainer.max_epochs=3"], reporter=QUIET)
    assert again.summary["status"] == "finished"
    run(autoencoder(runs, seed=8), output=runs / "other", fast_dev_run=True, reporter=QUIET)
    for attempt in (
        lambda: load_run(runs / "refined", [f"model.base={runs / 'other'}"]),
        lambda: run("", resume=runs / "refined", overrides=[f"model.base={runs / 'other'}"], reporter=QUIET),
    ):
        with pytest.raises(UserError, match=r"other is another run than the one that was trained with; give that one"):
            attempt()
    with pytest.raises(UserError, match=r"model.base: .*gone: there is no such run"):
        load_run(runs / "refined", [f"model.base={runs / 'gone'}"])


def test_a_folder_of_runs_can_be_moved_as_a_whole(runs: Path) -> None:
    run(refined(runs, runs / "refined"), output=runs / "deep" / "outermost", fast_dev_run=True, reporter=QUIET)
    moved = runs.rename(runs.with_name("archive"))
    outermost = load_run(moved / "deep" / "outermost")
    inner = outermost.frozen().model.base.model.base
    assert outermost.recipe.model.arguments["base"].given == moved / "refined"
    expected = load_run(moved / "ae").frozen().model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in inner.model.state_dict().items())
    shutil.rmtree(moved / "ae")
    run(autoencoder(moved, seed=8), output=moved / "ae", fast_dev_run=True, reporter=QUIET)  # another one in its place
    with pytest.raises(UserError, match=rf"model.base: {runs / 'ae'}: there is no such run"):
        load_run(moved / "refined").load()


def test_runs_use_runs_that_use_runs(runs: Path, tmp_path: Path) -> None:
    recipe = refined(runs, runs / "refined")
    outermost = run(recipe, output=tmp_path / "outermost", fast_dev_run=True, reporter=QUIET)
    for path in [runs / "ae", runs / "refined", tmp_path / "outermost"]:  # none of them needs its data
        text = (path / "recipe.yaml").read_text()
        (path / "recipe.yaml").write_text(text.replace("scan.h5", "away.h5"))
    frozen = load_run(outermost.directory).frozen()
    middle = frozen.model.base
    assert type(middle.model.base.model).__name__ == "ConvAutoencoder"
    names = {n for n, _ in frozen.model.named_parameters()}
    assert names == {"change.weight", "change.bias"} == {n for n, _ in middle.model.named_parameters()}
    with torch.no_grad():
        assert frozen.model(input=torch.rand(2, 1, 16, 16))["prediction"].shape == (2, 1, 16, 16)


def test_a_run_is_built_under_the_meta_device_without_its_weights(trained: Path) -> None:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = load_run(trained / "ae").frozen()
        outputs = frozen.model(input=frozen.to_model("input", torch.zeros(2, 1, 16, 16)))
    assert outputs["prediction"].device.type == "meta"
    assert {t.device.type for t in frozen.model.state_dict().values()} == {"meta"}


def test_a_compiled_model_uses_it_the_same(trained: Path) -> None:
    model = assemble(load_recipe(refined(trained, trained / "ae"))).build_model().eval()
    x = torch.rand(2, 1, 16, 16)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(input=x)["prediction"], model(input=x)["prediction"])
    compiled(input=x)["prediction"].sum().backward()
    assert model.change.weight.grad is not None


def test_editors_are_told_what_it_is() -> None:
    from stemcore.recipe.schema_values import keys_of

    schema = catalogue().schema(catalogue().find("model", "refiner"))
    key = keys_of(schema.model, {}, required=True)["base"]
    assert "`run-path | mapping`, required" in key["markdownDescription"]
    assert key["type"] == ["string", "object"]
    assert set(key["patternProperties"]) == {"^path$", "^sha256$"}
    assert key["additionalProperties"] is False


def test_the_hash_is_of_the_file_and_follows_it(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "a.ckpt"
    for text in (b"one", b"another"):
        path.write_bytes(text)
        assert checkpoint.sha256(path) == hashlib.sha256(text).hexdigest()


def test_a_run_survives_pickling_with_its_overrides(trained: Path) -> None:
    import pickle

    found = load_run(trained / "refined", ["model.gain=0.5"])
    _ = found.recipe
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert again.recipe.model.arguments["gain"] == 0.5
    assert sys.getsizeof(pickle.dumps(found)) < 1000
