from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from stemcore.progress import Lines, Reporter, Task, duration, reporter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Figure:
    """A figure that counts how often it is converted, as one on a device would have to be waited for."""

    def __init__(self):
        self.read = 0

    def __float__(self):
        self.read += 1
        return 0.25


def lines_of(total, seconds, clock, out, **options):
    with Lines(out, clock).task("batches", total, **options) as task:
        for _ in range(total - task.done):
            clock.now += seconds
            task.advance(loss=0.5)
    return out.getvalue().splitlines()


def test_lines_start_each_tenth_and_end():
    lines = lines_of(100, 1.0, Clock(), io.StringIO())
    assert lines[0] == "batches: 0/100, started"
    assert lines[1] == "batches: 10/100 (10 %), 1/s, 1 min 30 s left, loss=0.5"
    assert lines[-1] == "batches: 100/100 in 1 min 40 s, 1/s, loss=0.5"
    assert len(lines) == 12


def test_fast_task_is_not_drawn_more_than_once_a_second():
    lines = lines_of(1000, 0.002, Clock(), io.StringIO())
    assert len(lines) <= 4
    assert lines[-1] == "batches: 1000/1000 in 2.0 s, 500/s, loss=0.5"


def test_slow_task_gives_a_sign_of_life():
    lines = lines_of(1000, 4.0, Clock(), io.StringIO())[:3]
    assert lines[1].startswith("batches: 3/1000 (0 %), 4 s each, ")


def test_pace_leaves_out_what_was_done_before_a_resume():
    lines = lines_of(20, 1.0, Clock(), io.StringIO(), done=10)
    assert lines[0] == "batches: 10/20, started"
    assert lines[1] == "batches: 12/20 (60 %), 1/s, 8.0 s left, loss=0.5"
    assert lines[-1] == "batches: 20/20 in 10.0 s, 1/s, loss=0.5"


def test_unknown_total():
    clock, out = Clock(), io.StringIO()
    with Lines(out, clock).task("items") as task:
        for _ in range(30):
            clock.now += 1
            task.advance()
    assert out.getvalue().splitlines() == [
        "items: started",
        "items: 10, 1/s",
        "items: 20, 1/s",
        "items: 30, 1/s",
        "items: 30 in 30.0 s, 1/s",
    ]


def test_inner_task_speaks_only_when_it_takes_long():
    clock, out = Clock(), io.StringIO()
    reports = Lines(out, clock)
    with reports.task("epochs", 2) as epochs:
        for seconds in (0.1, 5.0):
            with reports.task("batches", 3) as batches:
                for _ in range(3):
                    clock.now += seconds
                    batches.advance(loss=0.125)
            epochs.advance()
    assert out.getvalue().splitlines() == [
        "epochs: 0/2, started",
        "epochs: 1/2 (50 %), 3.33/s, 0.0 s left",
        "epochs 1/2 > batches: 3/3 (100 %), 5 s each, loss=0.125",
        "epochs: 2/2 in 15.3 s, 7.65 s each",
    ]


def test_exception_is_said_and_passes():
    out = io.StringIO()
    reports = Lines(out, Clock())

    def fail():
        with reports.task("epochs", 2) as task:
            task.advance()
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert out.getvalue().splitlines()[-1] == "epochs: stopped at 1/2 in 0.0 s"
    assert reports.tasks == []


def test_figures_are_converted_only_when_drawn():
    clock, figure = Clock(), Figure()
    with Lines(io.StringIO(), clock).task("batches", 1000) as task:
        for _ in range(900):
            clock.now += 0.001
            task.advance(loss=figure)
        assert figure.read == 0
        clock.now += 1
        task.advance(loss=figure)
        assert figure.read == 1


def test_silent_reporter_counts_and_never_converts():
    figure = Figure()
    reports = reporter(quiet=True)
    assert type(reports) is Reporter
    with reports.task("batches", 2) as task:
        task.advance(2, loss=figure)
        reports.say("nothing")
    assert isinstance(task, Task)
    assert (task.done, figure.read) == (2, 0)


def test_lost_stream_does_not_stop_the_work():
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    clock = Clock()
    reports = Lines(Broken(), clock)
    with reports.task("batches", 5) as task:
        for _ in range(5):
            clock.now += 100
            task.advance()
        reports.say("still here")
    assert task.done == 5


def test_reporter_takes_lines_for_a_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(reporter(), Lines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.06, "9.1 s"), (125, "2 min 05 s"), (3599.7, "1 h 00 min"), (3780, "1 h 03 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


TERMINAL = """
import time
from stemcore.progress import reporter
reports = reporter()
print("result")
with reports.task("epochs", 2) as epochs:
    for _ in range(2):
        with reports.task("batches", 3) as batches:
            for i in range(3):
                time.sleep(0.11)
                batches.advance(loss=0.5)
        reports.say("saved [best]")
        epochs.advance(psnr=21.5)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bars_on_a_terminal_leave_stdout_alone():
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL], env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    text = shown.decode()
    assert done.stdout == "result\n"
    assert "saved [best]" in text
    assert "3/3" in text
    assert "loss=0.5" in text
    last = text.split("\r")[-2]
    assert "epochs" in last
    assert "2/2" in last
    assert "psnr=21.5" in last
    assert "batches" not in last


def _read(descriptor):
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux says so when the other end is closed and all was read.
        return b""
