"""What went wrong, as lines on stderr and an exit code."""

from __future__ import annotations

import os
import select
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress

import click

from stemcore.component.command import is_first_process
from stemcore.errors import Interrupted, TrainingFailed, UserError

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
SILENCE_SECONDS = 2.0


def report(error: BaseException, debug: bool) -> int:
    """Prints an error on stderr and returns the exit code that stands for it.

    Args:
        error: what ended the verb; click's ``Exit`` is not an error and prints nothing.
        debug: whether to show the traceback as well.
    """
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if not is_first_process():
        if (isinstance(error, TrainingFailed) and error.everywhere) or exit_code(error) == INTERRUPTED:
            return exit_code(error)
        # What the first process meets, too, it says for all, and it ends this one meanwhile.
        time.sleep(SILENCE_SECONDS)
    with suppress(OSError):  # Whoever read stderr may be gone; the exit code still says it.
        if debug:
            traceback.print_exception(error)
        for line in _lines(error):
            line = line if is_first_process() else f"{line} (process {_number()} of the run)"
            print(line if debug or not line.startswith("stem: ") else _with_advice(line, error), file=sys.stderr)
    return exit_code(error)


def _number() -> str:
    return os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK", "0")


def exit_code(error: BaseException) -> int:
    """0 done, 1 the work failed, 2 the user's input is wrong, 130 interrupted."""
    if isinstance(error, (Interrupted, KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if isinstance(error, (UserError, click.UsageError, click.FileError)):
        return WRONG_INPUT
    return FAILED


def stdout_is_closed() -> bool:
    """Whether the reader of stdout is gone, as after ``stem plugins | head``. Broken pipes within the work, to a
    process that died, are told apart by this."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _lines(error: BaseException) -> Iterator[str]:
    if isinstance(error, UserError):
        yield from (f"error: {_one_line(str(problem))}" for problem in error.problems)
    elif isinstance(error, click.UsageError):
        verb = error.ctx.command_path if error.ctx else "stem"
        yield f"error: {_one_line(error.format_message()).rstrip('.')}; see '{verb} --help'"
    elif isinstance(error, click.FileError):
        yield f"error: {_one_line(error.format_message())}"
    elif isinstance(error, (TrainingFailed, click.ClickException)):
        yield f"stem: {_one_line(str(error))}"
    elif isinstance(error, Interrupted):
        yield f"stem: {_one_line(str(error)) or 'interrupted'}"
    elif exit_code(error) == INTERRUPTED:
        yield "stem: interrupted"
    else:
        yield f"stem: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _with_advice(line: str, error: BaseException) -> str:
    return line if exit_code(error) == INTERRUPTED else f"{line}; --debug shows where"


def _one_line(text: str) -> str:
    return " ".join(text.split())
