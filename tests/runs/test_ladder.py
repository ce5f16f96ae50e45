"""Stages one after the other: what they leave, what is kept, and what happens when they are stopped or changed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

import stemcore.trainer.loop as loop
from stemcore import Callback, Ladder, Run, State, UserError, load_run, run
from stemcore.cli.main import execute
from stemcore.errors import Interrupted, TrainingFailed
from stemcore.plugins import catalogue
from stemcore.progress import reporter
from tests.conftest import SMALL, bundled_patterns, changed
from tests.runs import refiners

QUIET = reporter(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that use other runs, found as those of an installed plugin are."""
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


def stages(scan: Path) -> dict[str, Any]:
    """An autoencoder of 96 binned patterns, its reconstruction of them, and a run that refines that autoencoder on
    it: two epochs of three steps each."""
    data = {"train": {"type": "hdf5", "path": str(scan)}, "batch_size": 32, "transforms": {"input": ["standardize"]}}
    shared = {key: value for key, value in SMALL.items() if key not in ("name", "seed", "metrics", "losses")}
    first = {**shared, "data": data, "losses": {"mse": {}}}
    second = changed(first, {"data": {"train": {"path": "stage:clean"}, "invalid": "clip"}})
    second["model"] = {"type": "refiner", "base": "stage:encoder"}
    clean = {"verb": "reconstruct", "arguments": ["stage:encoder"], "options": {"out": "clean.h5", "dtype": "float16"}}
    return {"encoder": first, "clean": clean, "refined": second}


def ladder_on(folder: Path) -> dict[str, Any]:
    scan = folder / "scan.h5"
    with h5py.File(scan, "w") as file:
        file["patterns"] = bundled_patterns()[:96]
    return {"stem": 1, "name": "steps", "seed": 5, "stages": stages(scan)}


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    return ladder_on(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(plugin: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A ladder that has been run, and its directory."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = ladder_on(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        climbed(recipe, folder / "out")
    return recipe, folder / "out"


@pytest.fixture
def done(undisturbed: tuple[dict[str, Any], Path], tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """The same, copied: its directory may be changed."""
    recipe, directory = undisturbed
    shutil.copytree(directory, tmp_path / "out")
    return recipe, tmp_path / "out"


@contextmanager
def stopping_in(stage: str, step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if Ctrl-C came during an optimizer step of a stage."""
    original = loop.Trainer._optimizer_step

    def stepping(self: loop.Trainer) -> None:
        original(self)
        self.interrupt.requested = self.recipe.name == f"steps-{stage}" and self.state.step == step

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_optimizer_step", stepping)
        yield


def climbed(recipe: dict[str, Any], output: Path, **options: Any) -> Ladder:
    ladder = run(recipe, output=output, reporter=QUIET, **options)
    assert isinstance(ladder, Ladder)
    return ladder


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def written(directory: Path) -> dict[str, int]:
    """When each checkpoint and each result was written."""
    found = [*directory.glob("*/checkpoints/*.ckpt"), *directory.glob("*/clean.h5")]
    return {str(path.relative_to(directory)): path.stat().st_mtime_ns for path in found}


def refused(recipe: dict[str, Any], output: Path, *overrides: str, **options: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        run(recipe, overrides=overrides, output=output, reporter=QUIET, **options)
    return [str(problem).replace(str(output), "OUT") for problem in caught.value.problems]


def test_each_stage_reads_what_those_before_it_have_left(undisturbed: tuple[dict[str, Any], Path]) -> None:
    recipe, directory = undisturbed
    first, second = load_run(directory / "encoder"), load_run(directory / "refined")
    assert (first.recipe.name, first.recipe.seed, first.summary["status"]) == ("steps-encoder", 5, "finished")
    with h5py.File(directory / "clean" / "clean.h5") as file:
        assert file["patterns"].dtype == np.float16
        assert file["patterns"].shape == (96, 16, 16)
    assert second.recipe.data.train.arguments["path"] == directory / "clean" / "clean.h5"
    assert second.recipe.model.document()["base"]["path"] == str(directory / "encoder")
    assert second.recipe.model.document()["base"]["sha256"] == first.sha256
    assert (directory / "clean" / "stdout.txt").read_text().strip() == str(directory / "clean" / "clean.h5")
    assert {path.name for path in directory.iterdir()} == {
        "recipe.yaml", "summary.json", "log.txt", "encoder", "clean", "refined"
    }  # fmt: skip
    assert "training steps-refined" in (directory / "log.txt").read_text()
    alone = {**recipe["stages"]["encoder"], "name": "steps-encoder", "seed": 5}
    assert same(run(alone, output=directory.parent / "alone", reporter=QUIET).directory, directory / "encoder")


def test_the_summary_says_what_became_of_each_stage(undisturbed: tuple[dict[str, Any], Path]) -> None:
    recipe, directory = undisturbed
    ladder = Ladder(directory, climbed(recipe, directory).recipe)  # nothing is run again
    summary, found = ladder.summary, ladder.stages
    assert (summary["name"], summary["status"], summary["reason"]) == ("steps", "finished", None)
    assert [record["status"] for record in summary["stages"].values()] == ["finished"] * 3
    first, second = found["encoder"], found["refined"]
    assert isinstance(first, Run)
    assert isinstance(second, Run)
    assert found["clean"] == directory / "clean" / "clean.h5"
    for name, left in (("encoder", first), ("refined", second)):
        assert summary["stages"][name]["final"] == left.summary["final"]
        assert summary["stages"][name]["best"] == left.summary["best"]
    assert summary["stages"]["refined"]["read"] == {
        name: summary["stages"][name]["ended"] for name in ("clean", "encoder")
    }
    assert ladder.figures == []


def test_what_has_finished_is_kept_and_an_interrupted_stage_goes_on_exactly(
    undisturbed: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, whole = undisturbed
    cut = tmp_path / "cut"
    again = f"stem run {cut}/recipe.yaml --resume {cut}"
    with (
        stopping_in("refined", 4, monkeypatch),
        pytest.raises(Interrupted, match=f"^interrupted in stage refined; go on with: {again}$"),
    ):
        climbed(recipe, cut)
    summary = json.loads((cut / "summary.json").read_text())
    assert (summary["status"], summary["reason"]) == ("interrupted", "interrupted in stage refined")
    assert [r["status"] for r in summary["stages"].values()] == ["finished", "finished", "interrupted"]
    before = written(cut)
    resumed = run("not read", resume=cut, reporter=QUIET)
    assert isinstance(resumed, Ladder)
    after = written(cut)
    unchanged = [name for name in before if before[name] == after[name]]
    assert {name for name in before if not name.startswith("refined")} == set(unchanged)
    assert same(cut / "refined", whole / "refined")
    assert resumed.summary["status"] == "finished"
    assert run(recipe, output=cut, reporter=QUIET).summary["stages"] == resumed.summary["stages"]
    assert written(cut) == after


def test_a_verb_that_is_stopped_is_called_again(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"

    def terminated(self: Run, out: Path, **options: Any) -> None:
        (Path(out).parent / "half").touch()
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "reconstruct", terminated)
        with pytest.raises(Interrupted, match=r"^interrupted in stage clean; go on with: stem run"):
            climbed(recipe, output)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not (output / "refined").exists()
    climbed(recipe, output)
    assert (output / "clean" / "half").exists()  # what the same call has left may be of use to it
    shutil.rmtree(output / "refined")
    (output / "clean" / "clean.h5").unlink()
    climbed(recipe, output, overrides=["clean.options.dtype=float32"])
    assert not (output / "clean" / "half").exists()
    with h5py.File(output / "clean" / "clean.h5") as file:
        assert file["patterns"].dtype == np.float32


def test_stages_that_were_changed_are_refused_by_name(done: tuple[dict[str, Any], Path]) -> None:
    recipe, output = done
    before = written(output)
    again = "to run it again, or choose another --output"
    changes = ["encoder.model.latent_dim=5", "clean.options.dtype=float32", "refined.trainer.max_epochs=3"]
    was = "it was {} when the stage was run and is {} now; delete OUT/{} " + again
    other = (
        "OUT/{0}: stages.{0}: it was run on what stage '{1}' had left, which is to be another; delete OUT/{0} " + again
    )
    assert refused(recipe, output, *changes) == [
        "stages.encoder.model.latent_dim: " + was.format(4, 5, "encoder"),
        other.format("clean", "encoder"),
        "stages.clean.options.dtype: " + was.format("'float16'", "'float32'", "clean"),
        other.format("refined", "clean"),
        other.format("refined", "encoder"),
        "stages.refined.trainer.max_epochs: " + was.format(2, 3, "refined"),
    ]
    assert refused(recipe, output, changes[2]) == ["stages.refined.trainer.max_epochs: " + was.format(2, 3, "refined")]
    assert refused(recipe, output, fast_dev_run=True)[0] == (
        f"OUT/encoder: stages.encoder: it was not cut short by --fast-dev-run; delete OUT/encoder {again}"
    )
    shutil.rmtree(output / "encoder")
    assert refused(recipe, output) == [
        other.format("clean", "encoder"),
        other.format("refined", "clean"),
        other.format("refined", "encoder"),
    ]
    assert written(output) == {name: time for name, time in before.items() if not name.startswith("encoder")}


def test_what_does_not_change_a_result_may_change(done: tuple[dict[str, Any], Path]) -> None:
    recipe, output = done
    before = written(output)
    changes = ["encoder.loggers=[]", "stages.refined.trainer.log_every_n_steps=7", "name=renamed"]
    ladder = climbed(recipe, output, overrides=changes)
    assert written(output) == before
    assert ladder.summary["name"] == "renamed"


def test_stages_that_have_not_begun_may_change(done: tuple[dict[str, Any], Path]) -> None:
    recipe, output = done
    shutil.rmtree(output / "refined")
    before = written(output)
    ladder = climbed(recipe, output, overrides=["refined.trainer.max_epochs=1", "refined.model.gain=0.5"])
    assert {name: time for name, time in written(output).items() if name in before} == before
    refined = ladder.stages["refined"]
    assert isinstance(refined, Run)
    assert refined.summary["epochs"] == 1


def test_an_interrupted_stage_goes_on_with_harmless_changes(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    with stopping_in("encoder", 4, monkeypatch), pytest.raises(Interrupted):
        climbed(recipe, output)
    (said,) = refused(recipe, output, "encoder.optimizer.lr=0.5")
    assert said.startswith("stages.encoder.optimizer.lr: it was 0.001 when the stage was run and is 0.5 now")
    ladder = run(recipe, resume=output, overrides=["encoder.trainer.max_epochs=3"], reporter=QUIET)
    assert isinstance(ladder, Ladder)
    assert ladder.summary["stages"]["encoder"]["epochs"] == 3


def test_input_that_is_wrong_leaves_nothing_behind_but_stages_that_have_finished(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    output = tmp_path / "above" / "out"
    (said,) = refused(recipe, output, "encoder.data.split=group")
    assert "stages.encoder: " in said
    assert "no groups" in said
    assert not output.parent.exists()
    wrong = refused(recipe, output, "clean.options.dtype=int8", "encoder.data.split=group")
    assert ["int8" in said for said in wrong] == [False, True]
    (said,) = refused(recipe, output, "refined.data.split=group", fast_dev_run=True)
    assert "stages.refined: " in said
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["status"], summary["stages"]["clean"]["status"]) == ("failed", "finished")
    climbed(recipe, output, fast_dev_run=True)


def test_a_stage_that_fails_is_named(recipe: dict[str, Any], tmp_path: Path) -> None:
    changes = ["refined.optimizer={type: sgd, lr: 1e30}", "refined.trainer.gradient_clip_val=null"]
    with pytest.raises(TrainingFailed, match=r"^stage refined: .*not finite"):
        climbed(recipe, tmp_path / "out", overrides=changes)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["status"], summary["stages"]["refined"]["status"]) == ("failed", "failed")
    assert summary["stages"]["clean"]["status"] == "finished"


def test_folders_of_others_are_not_touched(recipe: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    assert refused(recipe, output) == ["OUT: the output exists and is not an empty directory; choose another --output"]
    (output / "notes.txt").unlink()
    climbed(recipe, output, overrides=["stages.clean=null", "stages.refined=null"], fast_dev_run=True)
    (output / "clean").mkdir()
    (output / "clean" / "notes.txt").write_text("mine")
    (said,) = refused(recipe, output, fast_dev_run=True)
    assert said.startswith("OUT/clean: the folder holds something else than a stage of this ladder; delete OUT/clean")


def test_options_of_one_run_are_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert refused(recipe, output, init_from="x") == [
        "--init-from is for one recipe, and these are the stages of a ladder; leave it out"
    ]
    assert refused(recipe, output, overfit_batches=2)[0].startswith("--overfit-batches is for one recipe")
    assert not output.exists()


def test_a_ladder_is_no_run(undisturbed: tuple[dict[str, Any], Path]) -> None:
    with pytest.raises(UserError, match="it holds the stages of a ladder; give one, "):
        load_run(undisturbed[1])


class Witness(Callback):
    """Remembers which runs it has followed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_fit_end(self, state: State) -> None:
        self.seen.append(state.directory.name)


def test_callbacks_follow_every_stage_and_folds_are_a_stage(recipe: dict[str, Any], tmp_path: Path) -> None:
    witness = Witness()
    only = ["stages.clean=null", "stages.refined=null", "encoder.data.folds=2"]
    ladder = climbed(recipe, tmp_path / "out", overrides=only, fast_dev_run=True, callbacks=[witness])
    assert witness.seen == ["fold0", "fold1"]
    assert ladder.stages["encoder"].directory == tmp_path / "out" / "encoder"
    assert ladder.summary["stages"]["encoder"]["final"]["val/loss"] > 0


def test_the_plan_is_shown_first(
    undisturbed: tuple[dict[str, Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, _ = undisturbed
    path, output = tmp_path / "steps.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    assert execute(["run", str(path), "--output", str(output), "--fast-dev-run"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in err.splitlines()]
    assert lines[0] == ["stage", "what", "reads", "state"]
    assert lines[1] == ["encoder", "trains", "conv_autoencoder", "-", "to", "do"]
    reconstruct = "clean stem reconstruct stage:encoder --out clean.h5 --dtype float16 encoder to do"
    assert lines[2] == reconstruct.split()
    assert err.splitlines()[4].startswith("stages: 0/3")
    printed = out.splitlines()
    assert printed[0] == str(output)
    assert printed[1].startswith("3 stages in ")
    assert [line.split()[:2] for line in printed[2:]] == [
        ["stage", "left"],
        ["encoder", str(output / "encoder")],
        ["clean", str(output / "clean" / "clean.h5")],
        ["refined", str(output / "refined")],
    ]
    assert "val/loss" in printed[3]
    shutil.rmtree(output / "clean")
    shutil.rmtree(output / "refined")
    assert execute(["-q", "run", str(path), "--output", str(output), "--fast-dev-run"]) == 0
    assert capsys.readouterr().err == "", "neither runs nor verbs say how far they are"


def test_validate_checks_every_stage_before_any_has_run(
    undisturbed: tuple[dict[str, Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, directory = undisturbed
    path = tmp_path / "steps.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    assert execute(["validate", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "stage encoder\n    data: 77 items to train" in printed
    assert "refiner: its parts are checked against one another when there is clean, encoder" in printed
    assert execute(["validate", str(directory / "recipe.yaml")]) == 0
    assert "model refiner: 10 parameters" in capsys.readouterr().out
    wrong = ["encoder.model.latent_dim=0", "clean.verb=reconstrut", "refined.model.gian=3"]
    assert execute(["validate", str(path), *wrong]) == 2
    assert [line.split(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "stages.encoder",
        "stages.refined",
    ]
    assert execute(["validate", str(path), "clean.verb=reconstrut", "encoder.data.split=group"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "there is no verb 'reconstrut'; did you mean 'reconstruct'?" in lines[1]
    # What a stage reads beside earlier stages is looked at now, not hours later.
    nowhere = tmp_path / "nowhere"
    assert execute(["validate", str(path), f"refined.data.train.path={nowhere}.h5"]) == 2
    assert "nowhere.h5: stages.refined: " in capsys.readouterr().err
    assert execute(["validate", str(path), f"refined.model.base={nowhere}"]) == 2
    assert "stages.refined: model.base: " in capsys.readouterr().err
    assert execute(["validate", str(path), "--resolved"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["stages"]["refined"]["data"]["train"]["path"] == "stage:clean"


@pytest.mark.parametrize("cut", ["after the run", "before its first checkpoint"])
def test_killed_at_any_moment_it_goes_on(done: tuple[dict[str, Any], Path], cut: str) -> None:
    recipe, output = done
    summary = json.loads((output / "summary.json").read_text())
    kept = output.parent / "kept"
    shutil.copytree(output / "refined", kept)
    record = summary["stages"]["refined"]
    summary["status"] = record["status"] = "running"
    for key in ("ended", "final", "best", "epochs", "monitor"):
        del record[key]
    (output / "summary.json").write_text(json.dumps(summary))
    if cut != "after the run":
        shutil.rmtree(output / "refined" / "checkpoints")
        (output / "refined" / "summary.json").unlink()
    ladder = climbed(recipe, output)
    assert ladder.summary["stages"]["refined"]["status"] == "finished"
    assert same(kept, output / "refined")


Started = Callable[..., "subprocess.CompletedProcess[str]"]


def on_two(recipe: dict[str, Any], folder: Path) -> Path:
    """A ladder whose stages that train use two processes each."""
    for name in ("encoder", "refined"):
        recipe["stages"][name]["trainer"]["devices"] = 2
        recipe["stages"][name]["data"]["batch_size"] = 16
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.mark.slow
def test_a_stage_starts_processes_of_its_own(recipe: dict[str, Any], tmp_path: Path, plugin: None) -> None:
    del recipe["stages"]["refined"]
    later = {**recipe["stages"]["encoder"], "trainer": {"max_epochs": 2, "devices": 1}}
    recipe["stages"]["later"] = changed(later, {"data": {"train": {"path": "stage:clean"}, "invalid": "clip"}})
    recipe["stages"]["encoder"]["trainer"]["devices"] = 2
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    command = [sys.executable, "-m", "stemcore.cli", "run", str(path), "--output", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [record["status"] for record in summary["stages"].values()] == ["finished"] * 3
    assert ended.stderr.count("stage ") == 1


@pytest.mark.slow
def test_under_torchrun_the_first_process_calls_verbs(recipe: dict[str, Any], tmp_path: Path) -> None:
    del recipe["stages"]["refined"]
    recipe["stages"]["encoder"]["trainer"]["devices"] = 2
    later = changed(recipe["stages"]["encoder"], {"data": {"train": {"path": "stage:clean"}, "invalid": "clip"}})
    recipe["stages"]["later"] = later
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "stemcore.cli"]
    command = [*torchrun, "run", str(path), "--output", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [record["status"] for record in summary["stages"].values()] == ["finished"] * 3
