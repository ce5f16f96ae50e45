"""What ``run``, ``validate`` and the verbs that apply a run hand on, and what they print.

The layers below have tests of their own; here they are stood in for by functions of the same signatures.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import stemcore
from stemcore.cli.main import execute
from stemcore.errors import Interrupted, TrainingFailed
from stemcore.progress import Lines, Reporter

SUMMARY = {
    "status": "finished",
    "reason": "val/loss did not improve",
    "epochs": 2,
    "final": {"epoch": 2, "train/loss": 0.25, "val/loss": 0.5},
    "best": {"val/loss": {"value": 0.4375, "epoch": 1}},
    "wall_seconds": 65.3,
    "items_per_second": 31.5,
}


@pytest.fixture
def lower(monkeypatch, tmp_path):
    """Stands in for the layers below; ``calls`` holds what they were called with."""
    calls = SimpleNamespace(run=None, apply=None, fails=None, scores={}, summary=SUMMARY)
    directory = tmp_path / "runs" / "a"

    def run(recipe, *, overrides, output, resume, init_from, fast_dev_run, overfit_batches, reporter):
        print("chatter of a library")
        calls.run = dict(locals())
        if calls.fails:
            raise calls.fails
        with reporter.task("epochs", 2) as task:
            task.advance(2, loss=0.5)
        figures = [directory / "figures" / "latent.png", directory / "figures" / "loss.png"]
        return SimpleNamespace(directory=directory, summary=calls.summary, figures=figures)

    class Run:
        def __init__(self, path, overrides):
            self.path = path
            calls.overrides = overrides

        def encode(self, out, *, data, reporter):
            print("chatter of a library")
            calls.apply = ("encode", self.path, out, data, type(reporter))

        def reconstruct(self, out, *, data, reporter, dtype, compression):
            assert (dtype, compression) == ("float32", "none")
            calls.apply = ("reconstruct", self.path, out, data, type(reporter))

        def evaluate(self, *, data, reporter):
            print("chatter of a library")
            with reporter.task("batches", 1) as task:
                task.advance()
            calls.apply = ("evaluate", self.path, data, type(reporter))
            return {"data": "scan.h5", "items": 16, "scores": calls.scores}

    for name, value in {"run": run, "load_run": Run}.items():
        monkeypatch.setitem(vars(stemcore), name, value)
    return calls


def test_run_hands_on_every_option(lower):
    args = ["run", "r.yaml", "a.b=1", "--output", "o", "--resume", "p", "c=[1, 2]", "--init-from", "q"]
    assert execute([*args, "--fast-dev-run", "--overfit-batches", "3"]) == 0
    reporter = lower.run.pop("reporter")
    assert isinstance(reporter, Lines)
    del lower.run["calls"], lower.run["directory"]
    assert lower.run == {
        "recipe": "r.yaml",
        "overrides": ("a.b=1", "c=[1, 2]"),
        "output": Path("o"),
        "resume": Path("p"),
        "init_from": Path("q"),
        "fast_dev_run": True,
        "overfit_batches": 3,
    }


@pytest.mark.parametrize("args", [["-q", "run", "r.yaml"], ["run", "r.yaml", "--quiet"]])
def test_quiet_run_reports_nothing(lower, args, capsys):
    assert execute(args) == 0
    assert type(lower.run["reporter"]) is Reporter
    assert capsys.readouterr().err == "chatter of a library\n"


def test_run_prints_directory_scores_and_figures_alone(lower, tmp_path, capsys):
    assert execute(["run", "r.yaml"]) == 0
    captured = capsys.readouterr()
    directory = tmp_path / "runs" / "a"
    assert captured.out.splitlines() == [
        str(directory),
        "2 epochs in 1 min 05 s, 31.5 items/s; val/loss did not improve",
        "metric      final  best    epoch",
        "train/loss  0.25",
        "val/loss    0.5    0.4375  1",
        str(directory / "figures" / "latent.png"),
        str(directory / "figures" / "loss.png"),
    ]
    assert "epochs: 2/2" in captured.err
    assert "chatter of a library" in captured.err


def test_run_of_all_folds_prints_their_means(lower, tmp_path, capsys):
    lower.summary = {
        "epochs": 10,
        "final": {"epoch": 2.0, "val/loss": 0.5},
        "best": {"val/loss": {"value": 0.4375, "epoch": 1.5}, "val/r2": {"value": 0.75, "epoch": 2.0}},
        "std": {"final": {"epoch": 0.0, "val/loss": 0.125}, "best": {"val/loss": 0.0625, "val/r2": None}},
        "wall_seconds": 65.3,
        "items_per_second": 31.5,
        "folds": [{}] * 5,
    }
    assert execute(["run", "r.yaml"]) == 0
    directory = tmp_path / "runs" / "a"
    assert capsys.readouterr().out.splitlines() == [
        str(directory),
        "5 folds, 10 epochs in 1 min 05 s, 31.5 items/s",
        "metric    final  std    best    std",
        "val/loss  0.5    0.125  0.4375  0.0625",
        "val/r2                  0.75",
        str(directory / "folds.csv"),
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TrainingFailed("loss is NaN"), 1),
        (MemoryError(), 1),
        (Interrupted("use --resume"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_run_that_ends_badly(lower, error, code, capsys):
    lower.fails = error
    assert execute(["-q", "run", "r.yaml"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 2


@pytest.mark.parametrize("verb", ["encode", "reconstruct"])
def test_encode_and_reconstruct_name_the_file_written(lower, verb, capsys):
    assert execute([verb, "runs/a", "--out", "z.npy", "--data", "new.h5", "-q"]) == 0
    assert lower.apply == (verb, Path("runs/a"), Path("z.npy"), Path("new.h5"), Reporter)
    assert capsys.readouterr().out == "z.npy\n"
    assert lower.overrides == ()
    assert execute([verb, "runs/a", "model.pooling=tokens", "--out", "z.npy"]) == 0
    assert lower.apply == (verb, Path("runs/a"), Path("z.npy"), None, Lines)
    assert lower.overrides == ("model.pooling=tokens",)


def test_evaluate_prints_a_table_of_predictors(lower, capsys):
    lower.scores = {"model": {"psnr": 31.25, "mse": 1.5}, "mean": {"psnr": 20.0}}
    assert execute(["evaluate", "runs/a", "--data", "new.h5"]) == 0
    assert lower.apply == ("evaluate", Path("runs/a"), Path("new.h5"), Lines)
    assert capsys.readouterr().out.splitlines() == [
        "scan.h5: 16 items",
        "metric  model  mean",
        "psnr    31.25  20",
        "mse     1.5",
    ]


def test_evaluate_json_is_one_document_with_progress_on(lower, capsys):
    lower.scores = {"model": {"psnr": float("nan"), "mse": 1.5}}
    assert execute(["evaluate", "runs/a", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "data": "scan.h5",
        "items": 16,
        "scores": {"model": {"psnr": None, "mse": 1.5}},
    }
    assert "batches: 1/1" in captured.err
