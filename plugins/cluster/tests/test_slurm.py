"""Jobs of a real SLURM, which is started for these tests on this machine."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stemcore.cli.main import execute

SUBMIT = ["submit", "small.yaml", "--scheduler", "slurm", "--cpus", "1"]


@pytest.fixture(autouse=True)
def _inside(folder, slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", slurm)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    subprocess.run(["scancel", "--me"], check=True)


@pytest.fixture
def jobs(capsys) -> Callable[..., list[dict[str, Any]]]:
    def ask(*places: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert execute(["jobs", *places, "--json"]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["jobs"]
        return found

    return ask


def until(condition: Callable[[], Any], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "".join(p.read_text() for p in Path().glob("**/job/*.err"))
        time.sleep(0.2)


def rows(run: str) -> int:
    table = Path(run, "metrics.csv")
    return len(table.read_text().splitlines()) - 1 if table.is_file() else 0


def history(run: str) -> str:
    path = Path(run, "job/history.txt")
    return path.read_text() if path.is_file() else ""


def over(asked: list[dict[str, Any]]) -> bool:
    return all(job["state"] not in ("pending", "running") for job in asked)


def checkpoint(run: str) -> dict[str, Any]:
    contents: dict[str, Any] = torch.load(Path(run, "checkpoints/last.ckpt"), weights_only=True)
    return contents


def test_a_job_whose_time_is_up_and_that_is_preempted_ends_with_the_weights_of_an_undisturbed_run(jobs, capsys):
    assert execute([*SUBMIT, "trainer.max_epochs=150", "--output", "cut", "--time", "1h"]) == 0
    number = json.loads(Path("cut/job/job.json").read_text())["id"]

    until(lambda: rows("cut") >= 3)
    # What SLURM sends --notice seconds before the limit.
    subprocess.run(["scancel", "--signal=USR1", "--batch", number], check=True)
    until(lambda: "requeue" in history("cut") and jobs("cut")[0]["state"] == "pending")
    reached = rows("cut")
    assert reached < 150

    until(lambda: rows("cut") >= reached + 3)
    # Every processor, in a partition that goes before: the job is preempted, and requeued by SLURM.
    subprocess.run(["sbatch", "-Q", "-p", "urgent", "-n", "4", "-o", "/dev/null", "--wrap", "sleep 0.1"], check=True)
    until(lambda: over(jobs("cut")))
    (job,) = jobs("cut")
    assert (job["state"], job["epoch"], job["requeues"], job["job"]) == ("finished", 150, 2, number)
    said = "".join(path.read_text() for path in Path("cut/job").glob(f"{number}.*"))
    # Preemption sends SIGTERM more than once: the second may end a process that has saved, before it says so.
    assert said.count("stem: interrupted in epoch ") in (1, 2)
    assert "DUE TO PREEMPTION" in said
    log = Path("cut/log.txt").read_text()
    assert (log.count(" training small"), log.count(" resuming small")) == (1, 2)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert execute(["run", "cut/job/recipe.yaml", "--output", "whole", "-q"]) == 0
    torch.set_num_threads(threads)
    cut, whole = checkpoint("cut"), checkpoint("whole")
    assert cut["weights"].keys() == whole["weights"].keys()
    assert all(torch.equal(cut["weights"][name], value) for name, value in whole["weights"].items())
    assert cut["training"]["history"] == whole["training"]["history"]
    capsys.readouterr()
    assert execute(["jobs", "cut", "--log"]) == 0
    assert capsys.readouterr().out == said


def test_an_array_processes_of_one_run_and_a_job_that_fails(jobs, capsys):
    Path("grid.yaml").write_text("model.latent_dim: [2, 3]\n")
    assert execute([*SUBMIT, "--array", "grid.yaml", "--output", "runs/grid"]) == 0
    assert execute([*SUBMIT, "--tasks", "2", "--output", "runs/two"]) == 0
    assert execute([*SUBMIT, "optimizer.lr=1e30", "trainer.max_epochs=9", "--output", "runs/wrong"]) == 0
    assert execute([*SUBMIT, "--output", "runs/unwanted", "--directive=--hold"]) == 0
    assert execute(["jobs", "runs/unwanted", "--cancel"]) == 0
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()[-1:]] == ["cancelled"]
    until(lambda: over(jobs()))
    found = {job["run"]: job for job in jobs()}
    assert {run: job["state"] for run, job in found.items()} == {
        "runs/grid/0": "finished",
        "runs/grid/1": "finished",
        "runs/two": "finished",
        "runs/unwanted": "cancelled",
        "runs/wrong": "failed",
    }
    assert {job["requeues"] for job in found.values()} == {0}
    assert [found[f"runs/grid/{k}"]["values"] for k in (0, 1)] == [{"model.latent_dim": n} for n in (2, 3)]
    array = found["runs/grid/0"]["job"].removesuffix("_0")
    assert found["runs/grid/1"]["job"] == f"{array}_1"
    assert Path(f"runs/grid/1/job/{array}_1.err").is_file()
    for k, size in enumerate((2, 3)):
        assert checkpoint(f"runs/grid/{k}")["weights"]["model.encoder.7.1.weight"].shape[0] == size
    assert len(checkpoint("runs/two")["training"]["random"]) == 2, "one state of each process"
    assert found["runs/two"]["step"] == 4, "2 epochs of 48 items, 16 to each of 2 processes"
    assert "the loss is not finite" in "".join(path.read_text() for path in Path("runs/wrong/job").glob("*.err"))


def test_what_slurm_refuses_leaves_nothing(capsys):
    assert execute([*SUBMIT, "--partition", "nowhere"]) == 2
    assert (
        "error: slurm refuses the job: sbatch: error: invalid partition specified: nowhere" in capsys.readouterr().err
    )
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_job_that_reaches_its_time_limit_goes_on(jobs):
    limit = ["--time", "1m", "--notice", "5"]
    assert execute([*SUBMIT, "trainer.max_epochs=100000", "--output", "long", *limit]) == 0
    until(lambda: "requeue" in history("long"))
    reached = rows("long")
    until(lambda: rows("long") > reached)
    assert execute(["jobs", "long", "--cancel"]) == 0
    until(lambda: over(jobs("long")))
    (job,) = jobs("long")
    assert (job["state"], job["requeues"]) == ("cancelled", 1)
    assert job["epoch"] > reached
    assert "DUE TO TIME LIMIT" not in "".join(path.read_text() for path in Path("long/job").glob("*.err"))
