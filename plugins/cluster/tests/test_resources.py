"""What a job asks for."""

from __future__ import annotations

import pytest
from stem_cluster.resources import Resources, clock, read_memory, read_time

from stemcore import UserError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4:00:00", 14400), ("1-12:00:05", 129605), ("0:01:30", 90), ("90m", 5400), ("4h", 14400), ("2d", 172800)],
)
def test_times(text, seconds):
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "90", "30:00", "4:60:00", "-1h", "0h", "0:00:00", "1.5h"])
def test_what_is_no_time_or_could_be_two(text):
    with pytest.raises(UserError, match="--time: "):
        read_time(text)


def test_a_clock_goes_on_after_a_day():
    assert [clock(n) for n in (5, 3600, 129605)] == ["0:00:05", "1:00:00", "36:00:05"]
    assert read_time(clock(129605)) == 129605


@pytest.mark.parametrize(("text", "size"), [("500M", 500), ("16G", 16384), ("2gb", 2048), ("1T", 1048576)])
def test_memory(text, size):
    assert read_memory(text) == size


@pytest.mark.parametrize("text", ["16", "G", "0G", "1.5G", "16K"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(UserError, match="--memory: "):
        read_memory(text)


def test_all_that_does_not_go_is_said_at_once():
    with pytest.raises(UserError) as error:
        Resources(nodes=2, seconds=60, queue="short").refuse_unfit("local", 120)
    assert [problem.where for problem in error.value.problems] == ["--nodes", "--time", "--partition", "--time"]
    Resources(nodes=2, seconds=121, queue="short").refuse_unfit("slurm", 120)
