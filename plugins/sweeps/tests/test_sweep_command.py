"""``stem sweep`` as it is typed, on a small scan."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stem_sweeps.crew import threads_of_each

from stemcore import load_recipe
from stemcore.cli.main import execute


@pytest.fixture(autouse=True)
def _inside(folder):
    Path("latent.yaml").write_text(
        "model.latent_dim: {low: 2, high: 9}\noptimizer.lr: {low: 1e-3, high: 0.1, log: true}\n"
    )


def table(output: str) -> list[dict[str, str]]:
    with open(Path(output) / "trials.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@contextmanager
def interrupted_when(condition: Callable[[], bool]) -> Iterator[None]:
    """Sends this process a SIGINT as soon as the condition holds."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.002):
            if condition():
                os.kill(os.getpid(), signal.SIGINT)
                return

    # What runs in the background of a shell ignores SIGINT; this process is to hear it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)


SWEEP = ["sweep", "small.yaml", "--space", "latent.yaml", "-q"]


def test_a_sweep_from_its_command_to_its_best_recipe(capsys):
    given = [*SWEEP, "--trials", "5", "--output", "out", "--monitor", "val/psnr", "--pruner", "none"]
    given.append("model.blocks=1")
    assert execute(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "out: 5 complete"
    assert lines[1].split() == ["trial", "val/psnr", "epochs", "model.latent_dim", "optimizer.lr"]
    rows = table("out")
    scores = {row["trial"]: float(row["val/psnr"]) for row in rows}
    best = max(scores, key=lambda trial: scores[trial])
    assert [line.split()[0] for line in lines[2:7]] == sorted(scores, key=lambda trial: -scores[trial])
    assert lines[7:] == [
        f"out/{name}" for name in ("trials.csv", "best.yaml", "figures/history.png", "figures/importance.png")
    ]
    for path in lines[7:]:
        assert Path(path).stat().st_size > 0
    for row in rows:
        directory = Path("out/trials") / f"{int(row['trial']):04d}"
        summary = json.loads((directory / "summary.json").read_text())
        assert summary["best"]["val/psnr"]["value"] == float(row["val/psnr"])
        trained = load_recipe(directory / "recipe.yaml")
        assert trained.model.document()["latent_dim"] == int(row["model.latent_dim"])
        assert trained.optimizer["default"].component.document()["lr"] == float(row["optimizer.lr"])
        assert trained.model.document()["blocks"] == 1
    assert load_recipe("out/best.yaml") == load_recipe(Path("out/trials") / f"{int(best):04d}" / "recipe.yaml")
    assert execute(["validate", "out/best.yaml"]) == 0

    # The same command has nothing left to do, and one with more trials does those alone.
    written = Path("out/trials/0004/summary.json").stat().st_mtime_ns
    capsys.readouterr()
    assert execute([*given[:5], "--trials", "6", *given[7:], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["complete"], document["failed"], document["direction"]) == (6, 0, "max")
    assert [trial["trial"] for trial in document["trials"]] == list(range(6))
    assert document["best"]["value"] == max(trial["value"] for trial in document["trials"])
    assert Path("out/trials/0004/summary.json").stat().st_mtime_ns == written


def test_interrupted_and_continued_it_ends_as_if_it_had_not_been(capsys):
    Path("long.yaml").write_text(
        "extends: small.yaml\nstem: 1\ntrainer: {max_epochs: 8, checkpoint: {every_n_steps: 1}}\n"
    )
    command = ["sweep", "long.yaml", "--space", "latent.yaml", "--trials", "3", "-q"]
    assert execute([*command, "--output", "whole"]) == 0
    capsys.readouterr()
    begun = Path("cut/trials/0001/checkpoints/best.ckpt")
    with interrupted_when(begun.exists):
        assert execute([*command, "--output", "cut"]) == 130
    said = capsys.readouterr().err
    assert said == "stem: interrupted in trial 1; the same command goes on with it\n"
    assert [row["state"] for row in table("cut")] == ["complete", "waiting"]
    assert json.loads(Path("cut/trials/0001/summary.json").read_text())["status"] == "interrupted"
    assert execute([*command, "--output", "cut"]) == 0
    assert " resuming small in " in Path("cut/trials/0001/log.txt").read_text()
    different = {"seconds"}
    whole, cut = (
        [{key: cell for key, cell in row.items() if key not in different} for row in table(output)]
        for output in ("whole", "cut")
    )
    assert cut == whole


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_two_workers_interrupted_and_continued_lose_and_repeat_no_trial(capsys):
    command = ["sweep", "small.yaml", "trainer.max_epochs=12", "--space", "latent.yaml", "--pruner", "none"]
    command += ["--trials", "7", "--output", "out", "--storage", "sqlite:///study.db"]
    ended = Path("out/trials/0002/summary.json")
    with interrupted_when(ended.exists):
        assert execute([*command, "--workers", "2"]) == 130
    said = capsys.readouterr().err
    assert said.endswith("stem: interrupted; the same command goes on with the trials that were begun\n")
    assert "worker 1: " in said
    assert "worker 2: " in said
    before = {row["trial"]: row["val/loss"] for row in table("out") if row["state"] == "complete"}
    assert 1 <= len(before) < 7
    assert execute([*command, "-q"]) == 0
    rows = table("out")
    assert [row["trial"] for row in rows] == [str(number) for number in range(7)]
    assert {row["state"] for row in rows} == {"complete"}
    assert {row["trial"]: row["val/loss"] for row in rows if row["trial"] in before} == before
    assert sorted(path.name for path in Path("out/trials").iterdir()) == [f"{number:04d}" for number in range(7)]
    for row in rows:
        log = Path("out/trials", f"{int(row['trial']):04d}", "log.txt").read_text()
        assert log.count(" training small") == 1


def test_poor_trials_end_early(capsys):
    Path("lr.yaml").write_text("optimizer.lr: [6e-3, 7e-3, 8e-3, 9e-3, 1e-2, 1e-9]\n")
    assert execute([*SWEEP[:2], "--space", "lr.yaml", "--sampler", "grid", "--output", "out", "-q"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "out: 5 complete, 1 pruned"
    poor = table("out")[5]
    assert (poor["state"], poor["epochs"], float(poor["optimizer.lr"])) == ("pruned", "1", 1e-9)
    summary = json.loads(Path("out/trials/0005/summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["reason"].startswith("pruned: val/loss ")
    assert float(poor["val/loss"]) == summary["final"]["val/loss"]


def test_what_fails_is_written_down_and_the_rest_goes_on(capsys):
    Path("depth.yaml").write_text("model.channels: [[2], [2, 2, 2, 2, 2, 2, 2, 2]]\noptimizer.lr: [1e-3, 1e30]\n")
    grid = ["--space", "depth.yaml", "--sampler", "grid", "--output", "out", "trainer.max_epochs=6"]
    assert execute([*SWEEP[:2], *grid]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "out: 1 complete, 3 failed"
    rows = table("out")
    assert [row["state"] for row in rows] == ["complete", "failed", "failed", "failed"]
    assert "not finite" in rows[1]["failure"]
    assert rows[2]["failure"].endswith("the model takes patterns of at least 256 x 256, these are 16 x 16")
    assert f"trial 2 failed: {rows[2]['failure']}" in captured.err
    assert not Path("out/trials/0002").exists()

    Path("depth.yaml").write_text("model.channels: [[2, 2, 2, 2, 2, 2, 2], [2, 2, 2, 2, 2, 2, 2, 2]]\n")
    assert execute([*SWEEP[:2], *grid[:4], "--output", "none", "-q"]) == 2
    assert "the model takes patterns of at least 128 x 128" in capsys.readouterr().err


def test_a_sweep_without_a_trained_trial_fails(capsys):
    Path("lr.yaml").write_text("optimizer.lr: [1e29, 1e30]\n")
    command = [*SWEEP[:2], "--space", "lr.yaml", "--sampler", "grid", "--output", "out", "-q", "trainer.max_epochs=6"]
    assert execute(command) == 1
    assert "none of 2 trials was trained to its end; the first said: " in capsys.readouterr().err


def test_what_is_asked_wrongly(capsys):
    wrong = {
        (): "error: --trials: how many trials?; only a grid has a number of its own",
        (
            "--trials",
            "2",
            "--monitor",
            "val/pnsr",
        ): "error: --monitor: nothing is logged as 'val/pnsr'; known: val/loss, ",
        ("--trials", "2", "trainer.devices=2"): "a sweep trains each trial in one process; set trainer.devices=1, and",
        ("--trials", "2", "--output", "small.yaml"): "error: small.yaml: it is not a folder; choose another --output",
        (
            "--trials",
            "0",
        ): "Invalid value for '--trials'",
        ("--sampler", "grid"): "error: latent.yaml:2: optimizer.lr: a grid takes lists, or ranges with a step",
    }
    for arguments, message in wrong.items():
        assert execute([*SWEEP, *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert message in captured.err
    assert not Path("sweeps").exists()


def test_weights_are_not_compared_by_the_sum_that_they_weigh(capsys):
    Path("weights.yaml").write_text("losses.mse.weight: {low: 0.1, high: 1.0}\n")
    command = ["sweep", "small.yaml", "--space", "weights.yaml", "--trials", "1", "-q"]
    assert execute(command) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "error: weights.yaml:1: losses.mse.weight changes what val/loss adds up, so that trials cannot"
    )
    assert said.endswith("give --monitor one of val/metric_mse, val/mse, val/psnr\n")
    assert execute([*command, "--monitor", "val/metric_mse", "--output", "out"]) == 0


def test_each_worker_has_its_share_of_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert threads_of_each(1) == cores
    assert threads_of_each(cores) == 1
    assert threads_of_each(4 * cores) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads_of_each(1) == 1
