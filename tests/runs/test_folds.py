"""A run for each fold, and what they come to together."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import stemcore.trainer.loop as loop
from stemcore import Callback, Folds, Run, State, UserError, load_recipe, load_run, run
from stemcore.errors import Interrupted, TrainingFailed
from stemcore.progress import reporter

QUIET = reporter(quiet=True)
Scan = Callable[..., Path]


@pytest.fixture
def recipe(small: Callable[..., dict[str, Any]], scan_file: Scan) -> dict[str, Any]:
    """Three folds of 96 binned patterns, two epochs of three steps each."""
    path = str(scan_file())
    return small(
        data={
            "train": {"type": "hdf5", "path": path},
            "folds": 3,
            "test": 0.25,
            "transforms": {"input": ["standardize"]},
            "batch_size": 16,
        },
    )


@contextmanager
def stopping_in(fold: int, step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if Ctrl-C came during an optimizer step of a fold."""
    original = loop.Trainer._optimizer_step

    def stepping(self: loop.Trainer) -> None:
        original(self)
        self.interrupt.requested = self.recipe.data.fold == fold and self.state.step == step

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_optimizer_step", stepping)
        yield


def trained(recipe: dict[str, Any], output: Path, **options: Any) -> Folds:
    folds = run(recipe, output=output, reporter=QUIET, **options)
    assert isinstance(folds, Folds)
    return folds


def weights(run: Run) -> dict[str, torch.Tensor]:
    return torch.load(run.directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]


def same(a: Run, b: Run) -> bool:
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_each_fold_is_validated_on_once_and_never_fitted_on(recipe: dict[str, Any], tmp_path: Path) -> None:
    folds = trained(recipe, tmp_path / "cv")
    with h5py.File(recipe["data"]["train"]["path"]) as file:
        patterns = file["patterns"][:].astype(np.float64)
    held_out = []
    for one in folds.runs:
        items = one.items()
        means = {part: patterns[items[part].index].mean() for part in ("train", "val", "test")}
        (fitted,) = (w for name, w in weights(one).items() if name.startswith("transforms.") and name.endswith("mean"))
        assert float(fitted) == pytest.approx(means["train"], rel=1e-5)
        assert float(fitted) != pytest.approx(means["val"], rel=1e-5)
        assert one.recipe.data.fold == len(held_out)
        assert one.summary["status"] == "finished"
        held_out.append(items["val"].index)
        assert np.array_equal(items["test"].index, folds.runs[0].items()["test"].index)
    assert len(np.unique(np.concatenate(held_out))) == sum(map(len, held_out)) == 72


def check_means(folds: Folds) -> None:
    """The summary and the table against the summaries of the runs."""
    summary, singles = folds.summary, [r.summary for r in folds.runs]
    assert (summary["status"], summary["reason"], summary["epochs"]) == ("finished", None, 6)
    for name in ("train/loss", "val/loss", "val/psnr"):
        final = [s["final"][name] for s in singles]
        best = [s["best"][name]["value"] for s in singles]
        assert len(set(final)) == 3
        assert summary["final"][name] == pytest.approx(mean(final), rel=1e-12)
        assert summary["std"]["final"][name] == pytest.approx(stdev(final), rel=1e-9)
        assert summary["best"][name]["value"] == pytest.approx(mean(best), rel=1e-12)
        assert summary["std"]["best"][name] == pytest.approx(stdev(best), rel=1e-9)
    assert [f["directory"] for f in summary["folds"]] == ["fold0", "fold1", "fold2"]
    assert [f["final"] for f in summary["folds"]] == [s["final"] for s in singles]
    with folds.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["0", "1", "2"]
    assert [float(row["val/psnr"]) for row in rows] == [s["final"]["val/psnr"] for s in singles]
    assert [float(row["best val/psnr"]) for row in rows] == [s["best"]["val/psnr"]["value"] for s in singles]


class Witness(Callback):
    """Remembers which runs it has followed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_fit_end(self, state: State) -> None:
        self.seen.append(state.directory.name)


def test_a_fold_of_its_own_is_the_same_run(recipe: dict[str, Any], tmp_path: Path) -> None:
    witness = Witness()
    folds = trained(recipe, tmp_path / "cv", fast_dev_run=True, callbacks=[witness])
    assert witness.seen == ["fold0", "fold1", "fold2"]
    alone = run(recipe, overrides=["data.fold=1"], output=tmp_path / "one", fast_dev_run=True, reporter=QUIET)
    assert isinstance(alone, Run)
    assert same(folds.runs[1], alone)
    assert not same(folds.runs[0], alone)
    assert folds.runs[1].recipe == alone.recipe


def test_it_summarises_the_folds_and_interrupted_goes_on_in_the_same_one(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(recipe, tmp_path / "whole")
    check_means(whole)
    cut = tmp_path / "cut"
    with (
        stopping_in(1, 4, monkeypatch),
        pytest.raises(Interrupted, match=f"fold 1; go on with: stem run {cut}/recipe.yaml --resume {cut}$"),
    ):
        run(recipe, output=cut, reporter=QUIET)
    kept = (cut / "fold0" / "checkpoints" / "last.ckpt").stat()
    assert Folds(cut, load_recipe(recipe)).summary["status"] == "interrupted"
    assert not (cut / "fold2").exists()
    resumed = run(recipe, resume=cut, reporter=QUIET)
    assert isinstance(resumed, Folds)
    assert (cut / "fold0" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == kept.st_mtime_ns
    assert all(same(a, b) for a, b in zip(whole.runs, resumed.runs, strict=True))
    assert resumed.summary["final"] == whole.summary["final"]
    assert resumed.summary["std"] == whole.summary["std"]


def test_killed_before_the_first_checkpoint_of_a_fold_it_begins_that_fold_anew(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    folds = trained(recipe, tmp_path / "cv", overfit_batches=1)
    before = weights(folds.runs[2])
    for file in (tmp_path / "cv" / "fold2").rglob("*"):
        if file.is_file() and file.name not in ("recipe.yaml", "environment.json"):
            file.unlink()
    (tmp_path / "cv" / "fold2" / "checkpoints").rmdir()
    again = run(recipe, resume=tmp_path / "cv", reporter=QUIET)
    assert isinstance(again, Folds)
    after = weights(again.runs[2])  # on the same single batch: the options are those of the first command
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_fold_that_fails_is_named(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["optimizer"] = {"type": "sgd", "lr": 1e30}
    recipe["trainer"]["gradient_clip_val"] = None
    with pytest.raises(TrainingFailed, match=r"^fold 0: .*not finite"):
        run(recipe, output=tmp_path / "cv", reporter=QUIET)
    assert Folds(tmp_path / "cv", load_recipe(recipe)).summary["status"] == "failed"


def test_what_is_wrong_leaves_nothing_behind(recipe: dict[str, Any], tmp_path: Path) -> None:
    wrong = ["data.split=group"]
    with pytest.raises(UserError, match="no groups"):
        run(recipe, overrides=wrong, output=tmp_path / "above" / "cv", reporter=QUIET)
    assert not (tmp_path / "above").exists()


def test_what_cannot_be_done_with_all_folds_says_so(recipe: dict[str, Any], tmp_path: Path, scan_file: Scan) -> None:
    output = tmp_path / "cv"
    trained(recipe, output, fast_dev_run=True)
    with pytest.raises(UserError, match=rf"^{output}: it holds the folds of a cross-validation, each a run; give one"):
        load_run(output)
    with pytest.raises(UserError, match="holds another run"):
        run(recipe, output=output, reporter=QUIET)
    for override, words in (
        ("trainer.max_epochs=3", "it is 2 in the folds that have finished and 3 now"),
        ("data.folds=4", "which would change the result"),
    ):
        with pytest.raises(UserError, match=words):
            run(recipe, overrides=[override], resume=output, reporter=QUIET)
    scan_file(patterns=np.ones((96, 16, 16), np.uint16))
    with pytest.raises(UserError, match="the data have changed"):
        run(recipe, resume=output, reporter=QUIET)
