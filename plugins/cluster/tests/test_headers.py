"""What schedulers read at the head of a script; SLURM's is also read by a real one (test_slurm.py)."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from stem_cluster.headers import header
from stem_cluster.resources import Resources

LARGE = Resources(
    nodes=2,
    tasks=4,
    gpus=4,
    cpus=8,
    memory=65536,
    seconds=129600,
    queue="long",
    account="em",
    directives=("-x one", "-y two"),
)
SMALL = Resources(nodes=1, tasks=1)
LOG = Path("/data/my runs/a/job")


def options(mark: str, lines: list[str]) -> dict[str, str]:
    """The options of a script by their names, as a scheduler splits them."""
    found = {}
    for line in lines:
        word, *rest = shlex.split(line, comments=False)
        assert word == f"#{mark}"
        name, _, value = rest[0].partition("=") if rest[0].startswith("--") else (rest[0], "", " ".join(rest[1:]))
        assert name not in found or name == "-l"
        found[name] = value if name not in found else f"{found[name]} {value}"
    return found


def test_slurm():
    assert options("SBATCH", header("slurm", "stem-a", LARGE, LOG, 300)) == {
        "--job-name": "stem-a",
        "--output": "/data/my runs/a/job/%j.out",
        "--error": "/data/my runs/a/job/%j.err",
        "--open-mode": "append",
        "--nodes": "2",
        "--ntasks-per-node": "4",
        "--signal": "B:USR1@300",
        "--requeue": "",
        "--cpus-per-task": "8",
        "--gres": "gpu:4",
        "--mem": "65536M",
        "--time": "36:00:00",
        "--partition": "long",
        "--account": "em",
        "-x": "one",
        "-y": "two",
    }


def test_lsf():
    assert options("BSUB", header("lsf", "stem-a", LARGE, LOG, 300)) == {
        "-J": "stem-a",
        "-o": "/data/my runs/a/job/lsf.txt",
        "-n": "8",
        "-R": "span[ptile=4] rusage[mem=65536MB] affinity[core(8)]",
        "-r": "",
        "-Q": "75",
        "-gpu": "num=4",
        "-M": "65536MB",
        "-W": "36:00",
        "-wa": "USR1",
        "-wt": "5",
        "-q": "long",
        "-P": "em",
        "-x": "one",
        "-y": "two",
    }


def test_pbs():
    found = options("PBS", header("pbs", "stem-a", LARGE, Path("/data/a/job"), 300))
    assert found == {
        "-N": "stem-a",
        "-j": "oe",
        "-o": "/data/a/job/pbs.txt",
        "-l": "select=2:ncpus=32:mpiprocs=4:ngpus=4:mem=65536mb place=scatter walltime=36:00:00",
        "-r": "y",
        "-V": "",
        "-q": "long",
        "-A": "em",
        "-x": "one",
        "-y": "two",
    }


def test_what_is_not_asked_for_is_left_to_the_scheduler():
    assert options("SBATCH", header("slurm", "a", SMALL, LOG, 120)).keys() == {
        "--job-name",
        "--output",
        "--error",
        "--open-mode",
        "--nodes",
        "--ntasks-per-node",
        "--signal",
        "--requeue",
    }
    assert options("BSUB", header("lsf", "a", SMALL, LOG, 120)).keys() == {"-J", "-o", "-n", "-R", "-r", "-Q"}
    assert options("PBS", header("pbs", "a", SMALL, Path("/a"), 120))["-l"] == "select=1:ncpus=1:mpiprocs=1"
    assert header("local", "a", SMALL, LOG, 120) == []


@pytest.mark.parametrize("parallel", [None, 4])
def test_arrays(parallel):
    some = "" if parallel is None else "%4"
    slurm = options("SBATCH", header("slurm", "a", SMALL, Path("/r/%a/job"), 120, (8, parallel)))
    assert slurm["--array"] == f"0-7{some}"
    assert slurm["--output"] == "/r/%a/job/%A_%a.out"
    assert options("BSUB", header("lsf", "a", SMALL, LOG, 120, (8, parallel)))["-J"] == f"a[1-8]{some}"
    assert options("PBS", header("pbs", "a", SMALL, Path("/a"), 120, (8, parallel)))["-J"] == f"0-7{some}"


def test_half_a_minute_is_a_minute_of_lsf():
    found = options("BSUB", header("lsf", "a", Resources(nodes=1, tasks=1, seconds=90), LOG, 30))
    assert (found["-W"], found["-wt"]) == ("0:02", "1")
