"""How a job is, from what its scheduler says and what it has written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stem_cluster.record import Record, find, read
from stem_cluster.schedulers import states, task
from stem_cluster.states import statuses

from stemcore import UserError


@pytest.fixture
def record(tmp_path, command):
    """A job of a SLURM whose ``squeue`` prints ``squeue.txt``, and which keeps no accounts."""
    command("squeue", f"cat '{tmp_path}/squeue.txt'")
    command("sacct", "exit 1")
    made = Record(tmp_path / "run", "slurm", "7", "2026-01-01T00:00:00", ["stem", "submit"])
    made.folder.mkdir(parents=True)
    made.write()
    return made


CASES = {
    ("PENDING", ""): "pending",
    ("PREEMPTED", "start"): "pending",
    ("RUNNING", "start"): "running",
    ("COMPLETING", "start, end 0"): "running",
    ("SUSPENDED", "start"): "suspended",
    ("COMPLETED", "start, end 0"): "finished",
    ("FAILED", "start, end 1"): "failed",
    ("FAILED", "start, end 143"): "interrupted",
    ("TIMEOUT", "start"): "timeout",
    ("TIMEOUT", "start, end 130"): "timeout",
    ("CANCELLED", "start, end 130"): "cancelled",
    ("NODE_FAIL", "start"): "failed",
    ("", "start, end 0"): "finished",
    ("", "start, end 2"): "failed",
    ("", "start, end 130"): "interrupted",
    ("", "start, end 130, start, end 0"): "finished",
    ("", "start"): "lost",
    ("", ""): "lost",
}


@pytest.mark.parametrize(("said", "history"), CASES)
def test_states(record, said, history):
    events = [f"2026-01-01T00:00:00+0000 {event}" for event in history.split(", ") if event]
    (record.folder / "history.txt").write_text("".join(f"{event}\n" for event in events))
    Path(record.run.parent, "squeue.txt").write_text(f"7 {said}\n6 RUNNING\n" if said else "")
    (status,) = statuses([record])
    assert status.state == CASES[said, history]
    assert status.live == (status.state in ("pending", "running", "suspended"))
    assert record.requeues == max(0, history.count("start") - 1)


def test_a_job_that_was_cancelled_before_it_began(record):
    (record.folder / "cancelled.txt").touch()
    Path(record.run.parent, "squeue.txt").write_text("")
    assert statuses([record])[0].state == "cancelled"


def test_how_far_a_run_is(record):
    Path(record.run.parent, "squeue.txt").write_text("7 RUNNING\n")

    def reached() -> tuple[int | None, int | None]:
        (status,) = statuses([record])
        return status.epoch, status.step

    assert reached() == (None, None)
    (record.run / "summary.json").write_text(json.dumps({"epochs": 2, "steps": 6}))
    assert reached() == (2, 6)
    (record.run / "metrics.csv").write_text("step,epoch,val/loss\n")
    assert reached() == (2, 6)
    rows = "".join(f"{3 * n},{n},{1 / n}\n" for n in range(1, 20001))
    (record.run / "metrics.csv").write_text(f"step,epoch,val/loss\n{rows}60003,200")
    assert reached() == (20000, 60000), "the last row is not whole yet"


def test_states_of_lsf(command):
    # The form is that of LSF's manual page of bjobs, "-json".
    records = [
        {"JOBID": "7", "JOBINDEX": "0", "STAT": "RUN"},
        {"JOBID": "8", "JOBINDEX": "2", "STAT": "PEND"},
        {"JOBID": "8", "JOBINDEX": "1", "STAT": "EXIT"},
        {"JOBID": "9", "ERROR": "Job <9> is not found"},
    ]
    command("bjobs", f"echo '{json.dumps({'COMMAND': 'bjobs', 'JOBS': 4, 'RECORDS': records})}'; exit 255")
    found = states("lsf", ["7", "8[2]", "8[1]", "9"])
    assert found == {"7": "running", "8[2]": "pending", "8[1]": "failed"}


def test_states_of_pbs(command):
    # As OpenPBS prints them, "qstat -f -F json -x".
    jobs = {
        "7.server": {"job_state": "R"},
        "8[1].server": {"job_state": "Q"},
        "9.server": {"job_state": "F", "Exit_status": 1},
        "10.server": {"job_state": "F", "Exit_status": 0},
    }
    command("qstat", f"echo '{json.dumps({'Jobs': jobs})}'")
    found = states("pbs", list(jobs))
    assert found == {
        "7.server": "running",
        "8[1].server": "pending",
        "9.server": "failed",
        "10.server": "finished",
    }


@pytest.mark.parametrize("scheduler", ["slurm", "lsf", "pbs"])
def test_a_scheduler_that_does_not_answer_knows_nothing(scheduler, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert states(scheduler, ["7"]) == {}


def test_numbers_of_tasks():
    given = {"slurm": "7", "lsf": "7", "pbs": "7[].server"}
    assert [task(scheduler, job, 2) for scheduler, job in given.items()] == ["7_2", "7[3]", "7[2].server"]


def test_records_are_found_in_the_order_of_their_numbers(tmp_path):
    for name in ("b/10", "b/9", "a"):
        record = Record(tmp_path / name, "pbs", "7.server", "now", [], {"seed": 3})
        record.folder.mkdir(parents=True)
        record.write()
    found = list(find([tmp_path]))
    assert [str(record.run.relative_to(tmp_path)) for record in found] == ["a", "b/9", "b/10"]
    assert read(tmp_path / "a" / "job" / "job.json") == Record(
        tmp_path / "a", "pbs", "7.server", "now", [], {"seed": 3}
    )
    (tmp_path / "a" / "job" / "resubmitted.txt").write_text("8.server\n9.server\n")
    assert next(find([tmp_path / "a"])).current == "9.server"
    with pytest.raises(UserError, match="there is no such run or folder"):
        list(find([tmp_path / "c"]))
    (tmp_path / "a" / "job" / "job.json").write_text('{"format": 2}')
    with pytest.raises(UserError, match="written by another version"):
        list(find([tmp_path]))
    (tmp_path / "a" / "job" / "job.json").write_text("[]")
    with pytest.raises(UserError, match="it is no record of a job"):
        list(find([tmp_path]))
