"""``stem submit`` and ``stem jobs`` as they are typed; what SLURM makes of it is in test_slurm.py."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from stemcore import load_recipe
from stemcore.cli.main import execute


@pytest.fixture(autouse=True)
def _inside(folder):
    pass


@pytest.fixture
def bsub(command):
    """An LSF that takes every job and keeps its script, as it comes on stdin."""
    command("bsub", 'cat >taken.sh; echo "$#"; echo "Job <7> is submitted to queue <normal>."')
    command("bjobs", "exit 255")


SUBMIT = ["submit", "small.yaml", "--scheduler", "lsf"]


def test_a_job_and_what_is_kept_of_it(bsub, capsys):
    assert execute([*SUBMIT, "model.latent_dim=3", "--output", "runs/a", "--time", "1h", "--tasks", "2"]) == 0
    assert capsys.readouterr().out == "runs/a  lsf job 7\n"
    job = Path("runs/a/job")
    assert sorted(path.name for path in job.iterdir()) == ["job.json", "job.sh", "recipe.yaml"]
    assert Path("taken.sh").read_text() == (job / "job.sh").read_text()
    assert "#BSUB -W 1:00" in (job / "job.sh").read_text()
    recipe = load_recipe(job / "recipe.yaml")
    assert (recipe.model.document()["latent_dim"], recipe.trainer.devices, recipe.trainer.num_nodes) == (3, 2, 1)
    record = json.loads((job / "job.json").read_text())
    assert record["command"][:4] == ["stem", *SUBMIT[:3]]
    assert (record["scheduler"], record["id"]) == ("lsf", "7")

    # The run begins in the directory that has the job, and nothing else of the directory is touched.
    assert execute(["run", str(job / "recipe.yaml"), "trainer.devices=1", "--output", "runs/a", "-q"]) == 0
    assert (job / "job.sh").is_file()
    capsys.readouterr()
    assert execute(["jobs"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["run", "job", "scheduler", "state", "epoch", "step", "requeues"],
        ["runs/a", "7", "lsf", "lost", "2", "6", "0"],
    ]
    assert execute([*SUBMIT, "--output", "runs/a"]) == 2
    assert "the output exists and is not an empty directory" in capsys.readouterr().err
    (job / "history.txt").write_text("then start 7 host 1\nthen end 130\n")
    assert execute([*SUBMIT, "--resume", "runs/a", "--time", "2h"]) == 0
    assert "#BSUB -W 2:00" in (job / "job.sh").read_text()
    assert "--resume" in (job / "job.sh").read_text()
    assert not (job / "history.txt").exists()
    assert load_recipe(job / "recipe.yaml") == recipe


def test_an_array(bsub, capsys):
    Path("grid.yaml").write_text("model.latent_dim: [2, 3]\nseed: [1, 2]\n")
    assert execute([*SUBMIT, "--array", "grid.yaml", "--parallel", "2", "--output", "grid", "--json"]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    assert [Path(job["run"]) for job in jobs] == [Path("grid", str(k)).absolute() for k in range(4)]
    assert [job["id"] for job in jobs] == [f"7[{k}]" for k in range(1, 5)]
    assert jobs[2]["values"] == {"model.latent_dim": 3, "seed": 1}
    assert load_recipe("grid/2/job/recipe.yaml").model.document()["latent_dim"] == 3
    assert '#BSUB -J "stem-small[1-4]%2"' in Path("taken.sh").read_text()
    assert Path("grid/job/array.sh").read_text() == Path("taken.sh").read_text()
    assert execute(["jobs", "grid"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("model.latent_dim=2 seed=1")


def test_the_stages_of_a_ladder_are_one_job(bsub, capsys):
    stages = "stages:\n  first: {extends: ./small.yaml}\n  second: {extends: ./small.yaml, trainer: {devices: 3}}\n"
    Path("ladder.yaml").write_text(f"stem: 1\nname: climb\n{stages}")
    ladder = ["submit", "ladder.yaml", "--scheduler", "lsf"]
    assert execute([*ladder, "--output", "runs/a"]) == 0
    assert "#BSUB -n 3\n" in Path("taken.sh").read_text()
    assert execute([*ladder, "--output", "runs/b", "--gpus", "2"]) == 0
    assert "#BSUB -n 2\n" in Path("taken.sh").read_text()
    assert Path("runs/b/job/recipe.yaml").read_text().count("devices: 2\n") == 2
    assert execute(["validate", "runs/b/job/recipe.yaml"]) == 0
    capsys.readouterr()
    assert execute([*ladder, "stages.first.model.latent_dims=3"]) == 2
    assert "stages.first: model: unknown key 'latent_dims'" in capsys.readouterr().err


def test_a_run_whose_job_has_not_ended_gets_no_second_one(bsub, command, capsys):
    assert execute([*SUBMIT, "--output", "runs/a"]) == 0
    job = Path("runs/a/job")
    (job / "history.txt").write_text("then start 7 host 1\n")
    command("bjobs", """echo '{"RECORDS": [{"JOBID": "7", "JOBINDEX": "0", "STAT": "RUN"}]}'""")
    capsys.readouterr()
    assert execute([*SUBMIT, "--resume", "runs/a"]) == 2
    assert "runs/a: its job 7 is still running; wait for it, or cancel it: stem jobs" in capsys.readouterr().err
    assert (job / "history.txt").is_file()


def test_a_dry_run_writes_nothing(capsys):
    before = sorted(Path().iterdir())
    assert execute([*SUBMIT, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "#!/bin/bash"
    assert execute([*SUBMIT, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [Path(path).name for path in document["scripts"]] == ["job.sh"]
    assert sorted(Path().iterdir()) == before


def test_the_device_of_a_job_need_not_be_here(capsys):
    slurm = ["submit", "small.yaml", "--scheduler", "slurm", "--dry-run"]
    assert execute([*slurm, "backend=cuda", "trainer.precision=16-mixed", "--gpus", "4", "--nodes", "2"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --gres=gpu:4\n" in said
    assert "#SBATCH --ntasks-per-node=4\n" in said
    assert execute([*slurm, "trainer.devices=3", "trainer.num_nodes=2"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --ntasks-per-node=3\n" in said
    assert "#SBATCH --nodes=2\n" in said


def test_what_is_asked_wrongly_is_said_before_anything_is_written(bsub, capsys):
    Path("values.yaml").write_text("model.latent_dim: [2, 0]\nmodel.latent: [1]\n")
    wrong = {
        ("model.latent_dims=3",): "unknown key 'latent_dims'",
        ("data.batch_size=0",): "data.batch_size",
        ("data.train.path=nowhere.h5",): "nowhere.h5",
        ("losses.mse.inputs.prediction=guess",): "guess",
        ("--array", "values.yaml"): "unknown key 'latent'",
        ("--array", "nothing.yaml"): "nothing.yaml: it cannot be read",
        ("--time", "now"): "error: --time: 'now' is no time",
        ("--memory", "8"): "error: --memory: '8' is no amount of memory",
        ("--time", "1m"): "error: --time: a job of 60 s has no time to work",
        ("--gpus", "2", "--tasks", "2"): "error: --tasks: there is one process for each GPU",
        ("--parallel", "2"): "error: --parallel: there is one job",
        ("--output", "small.yaml"): "the output exists and is not an empty directory",
        ("--resume", "nowhere"): "it holds no run",
        ("--resume", "runs", "--output", "b"): "cannot be combined with --output",
    }
    for arguments, message in wrong.items():
        assert execute([*SUBMIT, *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
    assert not Path("runs").exists()


def test_a_scheduler_that_is_not_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert execute(["submit", "small.yaml"]) == 2
    assert capsys.readouterr().err.startswith("error: --scheduler: there is no scheduler here: none of sbatch, bsub")
    assert execute(SUBMIT) == 2
    assert capsys.readouterr().err.startswith("error: --scheduler: there is no bsub here; submit from a machine of")
    assert not Path("runs").exists()


def test_jobs_of_nothing(capsys):
    assert execute(["jobs"]) == 2
    assert "there are no runs here" in capsys.readouterr().err
    Path("runs").mkdir()
    assert execute(["jobs"]) == 0
    assert execute(["jobs", "runs"]) == 2
    assert "none of its runs was submitted" in capsys.readouterr().err


def test_a_process_of_this_machine_is_followed_cancelled_and_gone_on_with(capsys):
    local = ["submit", "small.yaml", "--scheduler", "local", "--cpus", "1"]
    assert execute([*local, "trainer.max_epochs=5000", "--output", "runs/a"]) == 0
    number = int(capsys.readouterr().out.split()[-1])
    try:
        assert os.getsid(number) == number, "it outlives this shell"
        end = time.monotonic() + 120
        while not Path("runs/a/metrics.csv").is_file() or len(Path("runs/a/metrics.csv").read_text().splitlines()) < 3:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert execute(["jobs", "runs/a", "--json"]) == 0
        (job,) = json.loads(capsys.readouterr().out)["jobs"]
        assert job["state"] == "running"
        assert job["epoch"] >= 1
        assert execute(["jobs", "--cancel"]) == 0
        assert execute(["jobs", "runs/a", "--follow"]) == 0
    finally:
        if Path(f"/proc/{number}").exists():
            os.killpg(number, signal.SIGKILL)
    assert "stem: interrupted in epoch" in capsys.readouterr().out
    assert execute(["jobs"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[3] == "cancelled"
    assert Path("runs/a/checkpoints/last.ckpt").is_file()
    assert execute([*local, "--resume", "runs/a", "--dry-run"]) == 0
