from __future__ import annotations

import click
import pytest

from stemcore.cli.failures import report
from stemcore.errors import Interrupted, Problem, TrainingFailed, UserError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("a", "b", where="r.yaml:2", hint="c"), 2, "error: r.yaml:2: a; c\nerror: r.yaml:2: b; c\n"),
        (UserError(Problem("two\n  lines")), 2, "error: two lines\n"),
        (click.UsageError("No such thing."), 2, "error: No such thing; see 'stem --help'\n"),
        (click.FileError("x.h5", "gone"), 2, "error: Could not open file 'x.h5': gone\n"),
        (TrainingFailed("loss is NaN at step 3"), 1, "stem: loss is NaN at step 3; --debug shows where\n"),
        (RuntimeError("no memory\nmore"), 1, "stem: RuntimeError: no memory; --debug shows where\n"),
        (RuntimeError(), 1, "stem: RuntimeError: ; --debug shows where\n"),
        (
            Interrupted("stopped at step 3; go on with --resume runs/a"),
            130,
            "stem: stopped at step 3; go on with --resume runs/a\n",
        ),
        (Interrupted(), 130, "stem: interrupted\n"),
        (KeyboardInterrupt(), 130, "stem: interrupted\n"),
        (click.Abort(), 130, "stem: interrupted\n"),
        (click.exceptions.Exit(3), 3, ""),
    ],
)
def test_code_and_line(error, code, said, capsys):
    assert report(error, debug=False) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


@pytest.mark.parametrize("error", [RuntimeError("no memory"), UserError("wrong"), KeyboardInterrupt()])
def test_debug_shows_the_traceback_before_the_line(error, capsys):
    def place_of_the_fault():
        raise error

    with pytest.raises(type(error)) as caught:
        place_of_the_fault()
    report(caught.value, debug=True)
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "place_of_the_fault" in said
    assert "--debug" not in said
