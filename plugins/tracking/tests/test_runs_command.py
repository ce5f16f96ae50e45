"""``stem runs`` over run directories of every sort."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stemcore import run
from stemcore.cli.main import execute
from stemcore.runs.directory import logging_to, remembering

Call = Callable[..., str]


@pytest.fixture
def stem(capsys: pytest.CaptureFixture[str]) -> Call:
    """Prints of ``stem runs``, which ends with ``code``."""

    def call(*arguments: str, code: int = 0) -> str:
        assert execute(["runs", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return call


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a run directory, started at an hour."""
    monkeypatch.chdir(tmp_path)

    def write(path: str, hour: int, *, summary: Any = (), recipe: str = "", **best: tuple[float, str]) -> Path:
        folder = tmp_path / path
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "recipe.yaml").write_text(
            recipe or f"name: {folder.parent.name}\nmodel: {{type: m, width: {hour}}}\n"
        )
        about = {"started": f"2026-01-02T{hour:02d}:00:00+00:00", "device": f"gpu{hour}", "versions": {"torch": "2.4"}}
        (folder / "environment.json").write_text(json.dumps(about))
        scores = {name.replace("_", "/"): {"value": v, "epoch": hour, "direction": w} for name, (v, w) in best.items()}
        base = {
            "name": folder.parent.name,
            "monitor": "val/psnr",
            "status": "finished",
            "epochs": 9,
            "wall_seconds": 3725.2,
            "final": {"epoch": 9, "step": 90, "lr": 0.1 * hour, **{n: s["value"] for n, s in scores.items()}},
            "best": scores,
        }
        if summary is not None:
            (folder / "summary.json").write_text(json.dumps({**base, **dict(summary)}))
        return folder

    return write


def paths(text: str) -> list[str]:
    return [line.split()[-1] for line in text.splitlines()[1:]]


def test_the_newest_first_and_the_best_first(make: Callable[..., Path], stem: Call) -> None:
    make("runs/a/1", 1, val_psnr=(20.0, "max"), val_loss=(0.5, "min"))
    make("runs/a/2", 2, val_psnr=(30.0, "max"), val_loss=(0.7, "min"))
    make("runs/b/3", 3, val_psnr=(25.0, "max"))
    lines = stem().splitlines()
    assert lines[0].split() == ["name", "started", "status", "epochs", "monitor", "best", "time", "path"]
    assert lines[1].split() == ["b", "2026-01-02", "03:00", "finished", "9", "val/psnr", "25", "1:02:05", "runs/b/3"]
    assert paths(stem("list")) == ["runs/b/3", "runs/a/2", "runs/a/1"]
    assert paths(stem("list", "runs/a", "--reverse")) == ["runs/a/1", "runs/a/2"]
    assert paths(stem("--sort", "val/psnr")) == ["runs/a/2", "runs/b/3", "runs/a/1"]
    assert paths(stem("--sort", "val/loss")) == ["runs/a/1", "runs/a/2", "runs/b/3"]  # the last has none
    assert paths(stem("--sort", "val/loss", "--reverse")) == ["runs/a/2", "runs/a/1", "runs/b/3"]
    assert paths(stem("--sort", "lr", "--limit", "1")) == ["runs/a/1"]
    assert paths(stem("--sort", "started")) == paths(stem())
    head, row = stem("runs/b", "--metric", "val/psnr", "--metric", "lr").splitlines()
    assert head.split()[4:6] == ["val/psnr", "lr"]
    assert row.split()[5:7] == ["25", "0.3"]


def test_filters(make: Callable[..., Path], stem: Call) -> None:
    make("runs/a/1", 1)
    make("runs/a/2", 2, summary={"status": "failed", "reason": "out of luck"})
    assert paths(stem("--filter", "model.width=2")) == ["runs/a/2"]
    assert paths(stem("--filter", "model.width=1", "--filter", "name=a")) == ["runs/a/1"]
    assert paths(stem("--status", "failed", "--status", "killed")) == ["runs/a/2"]
    assert stem("--filter", "model.width=3") == "no runs in runs\n"
    assert stem("--filter", "model.widht=1", code=2) == (
        "error: --filter: no recipe has the key 'model.widht'; did you mean 'model.width'?\n"
    )
    assert "'model.width' is not KEY=VALUE" in stem("--filter", "model.width", code=2)
    said = stem("--metric", "val/los", "--metric", "ls", code=2).splitlines()
    assert [line.split(";")[0] for line in said] == [
        f"error: --metric: no run has '{name}'" for name in ("val/los", "ls")
    ]
    assert "see 'stem runs list --help'" in stem("--srot", "lr", code=2)
    assert stem("nowhere", code=2).startswith("error: nowhere: there is no such folder")


def test_values_and_places_are_written_as_for_stem_run(make: Callable[..., Path], stem: Call) -> None:
    loggers = "loggers: [{type: csv}, {type: mlflow, tags: {version: v1.0}}]"
    make("runs/a/1", 1, recipe=f"name: a\noptimizer: {{lr: 0.001, amsgrad: false}}\n{loggers}\n")
    make("runs/a/2", 2, recipe="name: a\noptimizer: {lr: 0.01, amsgrad: 0}\nloggers: []\n")
    assert paths(stem("--filter", "optimizer.lr=1e-3")) == ["runs/a/1"]
    assert paths(stem("--filter", "optimizer.lr=.01")) == ["runs/a/2"]
    assert paths(stem("--filter", "optimizer.amsgrad=false")) == ["runs/a/1"]
    assert paths(stem("--filter", "loggers.mlflow.tags.version=v1.0")) == ["runs/a/1"]
    assert paths(stem("--filter", "loggers.1.tags.version=v1.0")) == ["runs/a/1"]


def test_what_is_broken_is_told(make: Callable[..., Path], stem: Call, tmp_path: Path) -> None:
    (make("runs/a/1", 1) / "summary.json").write_text('{"status": "fin')
    (make("runs/a/2", 2) / "recipe.yaml").unlink()
    make("runs/a/3", 3, recipe="name: [", summary=None)
    make("runs/a/4", 4, summary=None)
    make(
        "runs/a/5", 5, summary={"best": [1], "final": {"lr": "x"}, "epochs": "many", "name": None, "wall_seconds": None}
    )
    (make("runs/a/6", 6, summary={"status": "nonsense"}) / "environment.json").write_text("[]")
    (make("runs/a/7", 7) / "summary.json").write_bytes(b"\xff\xfe")
    (tmp_path / "runs/a/5/environment.json").write_text('{"started": "2026-01-02T05:00:00"}')  # of no time zone
    found = {Path(r["path"]).name: r for r in json.loads(stem("--json"))["runs"]}
    assert {name: r["status"] for name, r in found.items()} == {
        **{"1": "broken", "2": "broken", "3": "broken", "4": "killed", "5": "finished", "6": "killed", "7": "broken"}
    }
    assert found["1"]["reason"].startswith("summary.json: ")
    assert found["2"]["reason"] == "there is no recipe.yaml"
    assert found["3"]["reason"].startswith("recipe.yaml: ")
    assert (found["5"]["best"], found["5"]["final"], found["5"]["epochs"], found["5"]["name"]) == ({}, {}, None, "a")
    for verb in (["show"], ["compare", "runs/a/4"]):
        for name in found:
            assert stem(*verb, f"runs/a/{name}")


def test_what_is_no_run_is_not_listed(make: Callable[..., Path], stem: Call, tmp_path: Path) -> None:
    assert stem() == "no runs in runs\n"
    make("runs/a/1", 1)
    make("runs/mlflow/artifacts/a/0123456789abcdef0123456789abcdef/artifacts", 2)
    make("runs/.trash/3", 3)
    (tmp_path / "recipe.yaml").write_text("name: mine")
    (tmp_path / "runs" / "a" / "newest").symlink_to(tmp_path / "runs" / "a" / "1")
    assert paths(stem(".")) == ["runs/a/1"]


def test_trials_stand_together_and_folds_below_their_cross_validation(make: Callable[..., Path], stem: Call) -> None:
    for hour, path in ((1, "sweeps/s/trials/0000"), (2, "other/1"), (3, "sweeps/s/trials/0001"), (5, "cv/fold1")):
        make(path, hour, val_psnr=(float(hour), "max"))
    one = json.loads(make("cv/fold0", 4, val_psnr=(2.5, "max")).joinpath("summary.json").read_text())
    Path("cv/recipe.yaml").write_text("name: cv")
    best = {"val/psnr": {"value": 2.6, "epoch": 1.5}}
    document = {"status": "finished", "epochs": 18, "final": {"val/psnr": 2.6}, "best": best, "folds": [one]}
    Path("cv/summary.json").write_text(json.dumps(document))
    in_order = ["cv", "cv/fold0", "cv/fold1", "sweeps/s/trials/0001", "sweeps/s/trials/0000", "other/1"]
    assert paths(stem(".")) == in_order
    by_psnr = ["sweeps/s/trials/0001", "cv", "cv/fold0", "cv/fold1", "other/1", "sweeps/s/trials/0000"]
    assert paths(stem(".", "--sort", "val/psnr")) == by_psnr
    found = json.loads(stem(".", "--json"))["runs"]
    assert [r["path"] for r in found] == ["cv", "sweeps/s/trials/0001", "sweeps/s/trials/0000", "other/1"]
    assert found[0]["best"]["val/psnr"] == {"value": 2.6, "epoch": 1.5, "direction": "max"}
    assert [fold["path"] for fold in found[0]["folds"]] == ["cv/fold0", "cv/fold1"]
    assert found[1]["sweep"] == "sweeps/s"


def test_a_comparison_names_what_differs(make: Callable[..., Path], stem: Call) -> None:
    make("runs/a/1", 1, val_psnr=(20.0, "max"))
    make("runs/a/2", 2, val_psnr=(30.0, "max"), val_loss=(0.5, "min"))
    found = json.loads(stem("compare", "runs/a/1", "runs/a/2", "--json"))
    assert found["recipe"] == {"model.width": ["1", "2"]}
    assert found["environment"] == {"device": ["gpu1", "gpu2"]}
    assert found["metrics"] == {"val/psnr": [20.0, 30.0], "val/loss": [None, 0.5], "lr": [0.1, 0.2]}
    rows = [line.split() for line in stem("compare", "runs/a/1", "runs/a/2").splitlines()]
    assert ["model.width", "1", "2"] in rows
    assert ["val/psnr", "20", "30"] in rows
    assert "a comparison needs two runs or more" in stem("compare", "runs/a/1", code=2)
    assert stem("compare", "runs/a/3", "runs/a", code=2).splitlines() == [
        "error: runs/a/3: there is no such run; 'stem runs' lists those that there are",
        "error: runs/a: it holds no run; 'stem runs' lists those that there are",
    ]


def test_one_that_was_trained(
    folder: Path, recipe: Callable[..., dict[str, Any]], stem: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = run(recipe(), output="one")
    capsys.readouterr()
    summary = trained.summary
    assert (summary["name"], summary["monitor"]) == ("small", "val/loss")
    found = json.loads(stem("show", "one", "--json"))
    assert found["best"] == summary["best"]
    assert found["best"]["val/psnr"]["direction"] == "max"
    assert found["recipe"]["model"]["latent_dim"] == 2
    assert {"recipe.yaml", "metrics.csv", "checkpoints/best.ckpt"} <= set(found["files"])
    rows = [line.split(maxsplit=1) for line in stem("show", "one").splitlines()]
    assert ["status", "finished"] in rows
    assert ["losses", "mse"] in rows
    environment = json.loads(Path("one/environment.json").read_text())
    Path("one/environment.json").write_text(json.dumps({**environment, "git": None}))  # outside a repository
    assert "null" not in stem("show", "one").split()
    assert any(
        row[:1] == ["val/psnr"] and f"{summary['best']['val/psnr']['value']:.6g}" in row[1] for row in rows if row
    )
    Path("one/summary.json").unlink()  # as while it is trained
    assert json.loads(stem("show", "one", "--json"))["final"] == pytest.approx(found["final"])
    assert json.loads(stem("show", "one", "--json"))["epochs"] == 2


def test_a_run_is_running_while_its_log_is_held(make: Callable[..., Path], stem: Call) -> None:
    fcntl = pytest.importorskip("fcntl")
    place = make("runs/a/1", 1)
    with remembering() as earlier, logging_to(place, earlier):
        assert stem().splitlines()[1].split()[3] == "running"
    assert stem().splitlines()[1].split()[3] == "finished"
    with (place / "log.txt").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nothing holds it any more


def test_no_torch_is_imported(make: Callable[..., Path]) -> None:
    make("runs/a/1", 1, val_psnr=(20.0, "max"))
    code = (
        "import sys; from stemcore.cli.main import execute; e = execute(['runs', '--sort', 'val/psnr']);"
        "e += execute(['runs', 'show', 'runs/a/1']); e += execute(['runs', 'compare', 'runs/a/1', 'runs/a/1']);"
        "print(e, {'torch', 'mlflow', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"


def test_help(stem: Call) -> None:
    assert stem("--help").startswith("Usage: stem runs [OPTIONS] [list|compare|show] [ARGS]...")
    assert "--sort METRIC" in stem("list", "-h")


def test_the_stages_of_a_ladder_are_runs_and_the_ladder_is_none(stem: Call, make: Callable[..., Path]) -> None:
    make("runs/steps/first", 1, summary={"name": "steps-first"}, val_psnr=(20.0, "max"))
    make("runs/steps/second", 2, summary={"name": "steps-second"}, val_psnr=(21.0, "max"))
    ladder = Path("runs/steps")
    (ladder / "recipe.yaml").write_text("# resolved\nstem: 1\nname: steps\nstages:\n  first: {}\n  second: {}\n")
    (ladder / "summary.json").write_text(json.dumps({"name": "steps", "status": "finished", "stages": {}}))
    (ladder / "log.txt").write_text("")
    listed = json.loads(stem("list", "runs", "--json"))
    assert sorted(Path(found["path"]).name for found in listed["runs"]) == ["first", "second"]
    assert "it holds no run" in stem("show", "runs/steps", code=2)
