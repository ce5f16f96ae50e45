"""Talking to schedulers: submitting, cancelling, asking for states.

The commands and what they print are PSI/J's business (``psij-python``), but for the states of SLURM and LSF: its
readers of these stop at a reason of more than one word and at a job that failed, and know no tasks of arrays.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from stem_cluster import local
from stem_cluster.resources import LOCAL, LSF, PBS, SLURM
from stemcore import TrainingFailed, UserError, optional_module

COMMANDS = {SLURM: "sbatch", LSF: "bsub", PBS: "qsub"}
PENDING, RUNNING, SUSPENDED = "pending", "running", "suspended"
FINISHED, FAILED, CANCELLED, TIMEOUT = "finished", "failed", "cancelled", "timeout"
LIVE = (PENDING, RUNNING, SUSPENDED)
"""States of a job that has not ended for good."""
PATIENCE = 60.0
"""Seconds for an answer."""

# man squeue, "JOB STATE CODES".
_SLURM = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"), PENDING),
    **dict.fromkeys(("SPECIAL_EXIT", "PREEMPTED"), PENDING),
    **dict.fromkeys(("RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"), RUNNING),
    **dict.fromkeys(("SUSPENDED", "STOPPED"), SUSPENDED),
    **dict.fromkeys(("CANCELLED", "REVOKED"), CANCELLED),
    **dict.fromkeys(("FAILED", "NODE_FAIL", "BOOT_FAIL", "OUT_OF_MEMORY"), FAILED),
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), TIMEOUT),
    "COMPLETED": FINISHED,
}
# man bjobs, "STAT".
_LSF = {
    **dict.fromkeys(("PEND", "PROV", "WAIT"), PENDING),
    **dict.fromkeys(("RUN", "UNKWN"), RUNNING),
    **dict.fromkeys(("PSUSP", "USUSP", "SSUSP"), SUSPENDED),
    **dict.fromkeys(("EXIT", "ZOMBI"), FAILED),
    "DONE": FINISHED,
}
_PSIJ = {
    "NEW": PENDING,
    "QUEUED": PENDING,
    "STAGE_IN": PENDING,
    "ACTIVE": RUNNING,
    "STAGE_OUT": RUNNING,
    "CLEANUP": RUNNING,
    "COMPLETED": FINISHED,
    "FAILED": FAILED,
    "CANCELED": CANCELLED,
}


def here() -> str:
    """The scheduler of this machine.

    Raises:
        UserError: if there is none.
    """
    for scheduler, command in COMMANDS.items():
        if shutil.which(command):
            return scheduler
    message = f"there is no scheduler here: none of {', '.join(COMMANDS.values())}"
    raise UserError(message, where="--scheduler", hint="give it, or --scheduler local for a process of this machine")


def submit(scheduler: str, script: Path) -> str:
    """Submits a script.

    Returns:
        the number of the job.

    Raises:
        UserError: if there is no such scheduler here, or if it refuses the job: with its words.
    """
    if scheduler == LOCAL:
        return local.start(script)
    psij = _psij(scheduler)
    command = psij.get_submit_command(None, script)
    if shutil.which(command[0]) is None:
        hint = f"submit from a machine of the cluster; --dry-run prints the script of {scheduler}"
        raise UserError(f"there is no {command[0]} here", where="--scheduler", hint=hint)
    if scheduler == LSF:
        with script.open() as text:  # its directives are read from stdin, but from a file only where LSF is told so
            done = _run(command[:1], stdin=text)
    else:
        done = _run(command)
    if done.returncode != 0:
        raise UserError(f"{scheduler} refuses the job: {_words(done)}", hint="see the options of stem submit")
    return str(psij.job_id_from_submit_output(done.stdout))


def cancel(scheduler: str, job: str) -> None:
    """Cancels a job.

    Raises:
        TrainingFailed: if the scheduler does not do it.
    """
    done = _run(_psij(scheduler).get_cancel_command(job))
    if done.returncode != 0:
        raise TrainingFailed(f"{scheduler} does not cancel job {job}: {_words(done)}")


def states(scheduler: str, jobs: Sequence[str]) -> dict[str, str]:
    """The states of jobs that a scheduler knows; none where it does not answer, as on a machine without it."""
    ask = {SLURM: _of_slurm, LSF: _of_lsf, PBS: _of_pbs}[scheduler]
    try:
        return ask(jobs)
    except (OSError, ValueError, LookupError, RuntimeError, AssertionError, subprocess.SubprocessError):
        return {}


def _of_slurm(jobs: Sequence[str]) -> dict[str, str]:
    wanted = set(jobs)
    done = _run(["squeue", "-h", "--array", "--states=all", "--format=%i %T", f"--jobs={','.join(jobs)}"])
    found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())
    missing = sorted(wanted - found.keys())
    if missing and shutil.which("sacct"):
        # What the controller has forgotten; there is no such record on a cluster without accounting.
        asked = _run(["sacct", "-n", "-X", "-P", "--format=JobID,State", f"--jobs={','.join(missing)}"])
        found |= dict(line.split("|", 1) for line in asked.stdout.splitlines() if "|" in line)
    return {job: _SLURM.get(state.split()[0], RUNNING) for job, state in found.items() if job in wanted}


def _of_lsf(jobs: Sequence[str]) -> dict[str, str]:
    done = _run(["bjobs", "-a", "-json", "-o", "jobid jobindex stat", *jobs])
    found = {}
    for record in json.loads(done.stdout)["RECORDS"]:
        if "STAT" in record:
            index = str(record.get("JOBINDEX", "0"))
            name = record["JOBID"] if index in ("0", "") else f"{record['JOBID']}[{index}]"
            found[name] = _LSF.get(record["STAT"], RUNNING)
    return found


def _of_pbs(jobs: Sequence[str]) -> dict[str, str]:
    psij = _psij(PBS)
    done = _run(psij.get_status_command(jobs))
    found = psij.parse_status_output(done.returncode, done.stdout)
    return {job: _PSIJ[status.state.name] for job, status in found.items()}


def task(scheduler: str, job: str, number: int) -> str:
    """The number of one task of an array, counted from 0."""
    if scheduler == SLURM:
        return f"{job}_{number}"
    if scheduler == LSF:
        return f"{job}[{number + 1}]"
    if scheduler == PBS:
        return job.replace("[]", f"[{number}]", 1)
    return job


@lru_cache
def _psij(scheduler: str) -> Any:
    """PSI/J's executor: it knows a scheduler's commands and what they print."""
    library = optional_module("psij", f"submitting to {scheduler}", install="stemcore[cluster]")
    return library.JobExecutor.get_instance(scheduler)


def _run(command: Iterable[str], **given: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command], capture_output=True, text=True, timeout=PATIENCE, **given)


def _words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
