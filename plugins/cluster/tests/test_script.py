"""What job scripts do, each run by bash: with stand-ins for the programs of schedulers and for ``stem run``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from stem_cluster.resources import SCHEDULERS, Resources
from stem_cluster.script import Plan

from stemcore.cli.main import execute

# A training that says what it was given, and trains until it is told to stop, or not at all.
STEM = """
echo "$*" >>calls.txt
echo "training $OMP_NUM_THREADS"; echo "progress" >&2
stop() { mkdir -p "$run/checkpoints"; : >"$run/checkpoints/last.ckpt"; exit 130; }
for word in "$@"; do run=$word; done
trap stop TERM
: >begun.txt
[ -e long.txt ] && for _ in $(seq 300); do sleep 0.1; done
exit "$(cat code.txt 2>/dev/null || echo 0)"
"""
JOB = {
    "slurm": {"SLURM_JOB_ID": "7"},
    "lsf": {"LSB_JOBID": "7", "LSB_JOBINDEX": "0"},
    "pbs": {"PBS_JOBID": "7.server"},
    "local": {},
}
THIRD = {
    "slurm": ("SLURM_ARRAY_TASK_ID", "2"),
    "lsf": ("LSB_JOBINDEX", "3"),
    "pbs": ("PBS_ARRAY_INDEX", "2"),
}
"""How schedulers number the third task of an array."""


class Site:
    """A machine of a cluster with one job."""

    def __init__(self, folder: Path, command, scheduler: str, **resources) -> None:
        self.folder, self.scheduler = folder, scheduler
        self.run = folder / "my run"
        self.job = self.run / "job"
        self.job.mkdir(parents=True)
        self.python = command("stem python", STEM)
        # srun starts it as its child, as SLURM does; a signal reaches what it started, and not the script.
        command("srun", 'while [[ $1 == --* ]]; do shift; done; echo $$ >pid.txt; exec "$@"')
        command("scancel", 'echo "scancel $*" >>asked.txt; kill -TERM "$(cat pid.txt)"')
        for name in ("scontrol", "qsub"):
            command(name, f'echo "{name} $*" >>asked.txt; [ {name} = qsub ] && echo 8.server; exit 0')
        given = {"nodes": 1, "tasks": 1, **resources}
        self.plan = Plan(scheduler, "a", Resources(**given), folder, str(self.python), ("export SET=1",), 2, 1)

    def start(self) -> subprocess.Popen[bytes]:
        script = self.job / "job.sh"
        script.write_text(self.plan.job(self.run))
        return subprocess.Popen(["bash", str(script)], env={**os.environ, **JOB[self.scheduler]}, cwd=self.folder)

    def calls(self) -> list[str]:
        return (self.folder / "calls.txt").read_text().splitlines()

    def asked(self) -> list[str]:
        path = self.folder / "asked.txt"
        return path.read_text().splitlines() if path.is_file() else []

    def history(self) -> list[str]:
        return [line.split()[1] for line in (self.job / "history.txt").read_text().splitlines()]

    def wait_for(self, name: str) -> None:
        end = time.monotonic() + 20
        while not (self.folder / name).exists():
            assert time.monotonic() < end
            time.sleep(0.01)

    def signalled(self, number: signal.Signals) -> int:
        """The exit code of a job that gets a signal while it trains."""
        (self.folder / "begun.txt").unlink(missing_ok=True)
        (self.folder / "long.txt").touch()
        process = self.start()
        self.wait_for("begun.txt")
        process.send_signal(number)
        return process.wait(20)


@pytest.fixture(params=SCHEDULERS)
def site(request, tmp_path, command):
    return Site(tmp_path, command, request.param)


def test_every_script_is_bash(tmp_path):
    for scheduler in SCHEDULERS:
        for resources in (Resources(nodes=1, tasks=1), Resources(2, 4, 4, 8, 1024, 3600, "q", "a")):
            plan = Plan(scheduler, "a", resources, tmp_path, "/usr/bin/python3", ("module load x",), 3, 60)
            for text in (plan.job(tmp_path / "it's 1 run"), plan.array([tmp_path / "0", tmp_path / "1"], 2)):
                subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_run_is_started_once_and_then_gone_on_with(site):
    assert site.start().wait(20) == 0
    first = f"-m stemcore.cli run {site.job}/recipe.yaml --output {site.run}"
    assert site.calls() == [first]
    (site.run / "environment.json").touch()
    assert site.start().wait(20) == 0
    assert site.calls() == [first, first], "nothing was saved, so it begins anew"
    assert (site.job / "left1" / "environment.json").is_file()
    (site.run / "checkpoints").mkdir()
    (site.run / "checkpoints" / "last.ckpt").touch()
    assert site.start().wait(20) == 0
    assert site.calls()[2:] == [f"-m stemcore.cli run {site.job}/recipe.yaml --resume {site.run}"]
    assert site.history() == ["start", "end"] * 3
    assert site.asked() in ([], ["scontrol update JobId=7 Requeue=0"]), "from the last start that is allowed on"


def test_the_exit_code_is_that_of_the_run_which_is_not_requeued(site):
    (site.folder / "code.txt").write_text("1")
    assert site.start().wait(20) == 1
    assert site.asked() == []
    assert (site.job / "history.txt").read_text().endswith(" end 1\n")


def test_when_its_time_is_up_a_run_saves_and_the_job_is_requeued(site):
    if site.scheduler == "local":
        (site.folder / "long.txt").touch()
        process = site.start()
        site.wait_for("begun.txt")
        (site.folder / "long.txt").unlink()
        process.send_signal(signal.SIGUSR1)
        assert process.wait(20) == 0, "it begins again at once, and ends"
        assert site.history() == ["start", "requeue", "start", "end"]
        assert "--resume" in site.calls()[1]
        return
    code = {"slurm": 130, "lsf": 75, "pbs": 130}[site.scheduler]
    assert site.signalled(signal.SIGUSR1) == code
    assert (site.run / "checkpoints" / "last.ckpt").is_file()
    assert site.history() == ["start", "requeue"]
    asked = {
        "slurm": ["scancel --quiet --signal=TERM 7", "scontrol requeue 7"],
        "lsf": [],
        "pbs": [f"qsub -W depend=afterany:7.server {site.job}/job.sh"],
    }
    assert site.asked() == asked[site.scheduler]
    if site.scheduler == "pbs":
        assert (site.job / "resubmitted.txt").read_text() == "8.server\n"


def test_a_job_is_requeued_no_more_often_than_it_may(site):
    (site.job / "history.txt").write_text("then start 7 host 1\nthen requeue\n" * 2)
    assert site.signalled(signal.SIGUSR1) == 130
    assert site.history()[-2:] == ["start", "end"]
    assert not any("requeue 7" in line or "qsub" in line for line in site.asked())
    if site.scheduler == "slurm":
        assert site.asked()[0] == "scontrol update JobId=7 Requeue=0", "nor by SLURM, where it is preempted"
    assert site.start().wait(20) == 1, "started once more by somebody else"
    assert len(site.calls()) == 1


def test_a_job_that_is_told_to_end_is_not_requeued(site):
    if site.scheduler == "slurm":
        pytest.skip("SLURM tells the processes itself (test_slurm.py)")
    assert site.signalled(signal.SIGTERM) == 130
    assert (site.run / "checkpoints" / "last.ckpt").is_file()
    assert site.history() == ["start", "end"]
    assert site.asked() == []


def test_a_job_that_was_cancelled_does_not_begin(site):
    (site.job / "cancelled.txt").touch()
    assert site.start().wait(20) == 130
    assert not (site.folder / "calls.txt").exists()


def test_what_is_printed_is_appended_to_a_log_beside_the_script(tmp_path, command):
    site = Site(tmp_path, command, "lsf", cpus=3)
    for _ in range(2):
        assert site.start().wait(20) == 0
    assert (site.job / "7.out").read_text() == "training 3\n" * 2
    assert (site.job / "7.err").read_text() == "progress\n" * 2


def test_pbs_gives_no_notice_so_the_script_does(tmp_path, command):
    site = Site(tmp_path, command, "pbs", seconds=2)
    (tmp_path / "long.txt").touch()
    assert site.start().wait(20) == 130
    assert site.history() == ["start", "requeue"]


def test_the_tasks_of_an_array_are_the_scripts_of_its_runs(tmp_path):
    runs = [tmp_path / "my runs" / str(k) for k in range(3)]
    for run in runs:
        (run / "job").mkdir(parents=True)
        (run / "job" / "job.sh").write_text(f"echo {run.name} $STEM_JOB >>'{tmp_path}/done.txt'\n")
    for scheduler, (name, value) in THIRD.items():
        text = Plan(scheduler, "a", Resources(nodes=1, tasks=1), tmp_path, "python", (), 1, 1).array(runs, None)
        subprocess.run(["bash"], input=text, text=True, check=True, env={**os.environ, name: value})
    assert (tmp_path / "done.txt").read_text().split() == ["2"] * 3
    text = Plan("local", "a", Resources(nodes=1, tasks=1), tmp_path, "python", (), 1, 1).array(runs, None)
    process = subprocess.Popen(["bash", "-c", text])
    assert process.wait(20) == 0
    lines = (tmp_path / "done.txt").read_text().splitlines()[3:]
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    assert len({line.split()[1] for line in lines}) == 1


@pytest.mark.parametrize("scheduler", ["lsf", "pbs"])
def test_several_machines_without_srun_meet_by_torchrun(tmp_path, command, scheduler, monkeypatch):
    site = Site(tmp_path, command, scheduler, nodes=2, tasks=4)
    hosts = tmp_path / "hosts"
    hosts.write_text("n1\nn1\nn2\nn2\n")
    monkeypatch.setenv("LSB_DJOB_HOSTFILE", str(hosts))
    monkeypatch.setenv("PBS_NODEFILE", str(hosts))
    command("blaunch", 'echo "$2" >>asked.txt; hosts=$2; shift 2; for host in $hosts; do "$@" || exit; done')
    command("pbs_tmrsh", 'echo "$1" >>asked.txt; shift; "$@"')
    assert site.start().wait(20) == 0
    number = {"lsf": "7", "pbs": "7.server"}[scheduler]
    each = (
        f"-m torch.distributed.run --nnodes=2 --nproc-per-node=4 --rdzv-backend=c10d --rdzv-endpoint=n1:29500"
        f" --rdzv-id={number} -m stemcore.cli run {site.job}/recipe.yaml --output {site.run}"
    )
    assert site.calls() == [each, each]
    assert sorted(" ".join(site.asked()).split()) == ["n1", "n2"]


@pytest.mark.slow
def test_several_machines_really_meet_by_torchrun(folder, command, monkeypatch):
    """LSF's blaunch is a stand-in; what it starts on two names of this machine is not."""
    (folder / "hosts").write_text("127.0.0.1\nlocalhost\n")
    monkeypatch.setenv("LSB_DJOB_HOSTFILE", str(folder / "hosts"))
    monkeypatch.setenv("LSB_JOBID", "7")
    command("blaunch", 'hosts=$2; shift 2; for host in $hosts; do "$@" & done; wait -n; wait')
    command("bsub", 'cat >taken.sh; echo "Job <7> is submitted to queue <normal>."')
    assert (
        execute(["submit", "small.yaml", "--scheduler", "lsf", "--nodes", "2", "--tasks", "1", "--output", "run"]) == 0
    )
    subprocess.run(["bash", "taken.sh"], check=True, timeout=300)
    last = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(last["training"]["random"]) == 2, "one state of each process"
    assert (folder / "run" / "job" / "history.txt").read_text().endswith(" end 0\n")
