"""What a job asks of a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stemcore import UserError

SLURM, LSF, PBS, LOCAL = "slurm", "lsf", "pbs", "local"
SCHEDULERS = (SLURM, LSF, PBS, LOCAL)
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_SIZES = {"M": 1, "G": 1024, "T": 1024 * 1024}


@dataclass(frozen=True)
class Resources:
    """What each run of a submission gets.

    Attributes:
        nodes: machines; 0 for those of the recipe.
        tasks: processes on each machine, one for each device; 0 for those of the recipe.
        gpus: GPUs of each machine.
        cpus: cores of each process; the scheduler's default without.
        memory: MB of each machine; the scheduler's default without.
        seconds: after which the scheduler ends a job; the queue's limit without.
        queue: the partition of SLURM, the queue of others.
        account: what is charged.
        directives: further options of the scheduler, as they stand in a script.
    """

    nodes: int = 0
    tasks: int = 0
    gpus: int = 0
    cpus: int | None = None
    memory: int | None = None
    seconds: int | None = None
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()

    def refuse_unfit(self, scheduler: str, notice: int) -> None:
        """Raises ``UserError`` for everything that a scheduler does not do.

        Args:
            scheduler: which one.
            notice: seconds before its limit at which a job is to stop.
        """
        problems = [*self._of_nowhere(scheduler), *self._too_short(notice)]
        if problems:
            raise UserError(*(problem for error in problems for problem in error.problems))

    def _of_nowhere(self, scheduler: str) -> Iterator[UserError]:
        if scheduler != LOCAL:
            return
        given = {
            "--nodes": self.nodes > 1,
            "--time": self.seconds is not None,
            "--memory": self.memory is not None,
            "--partition": self.queue is not None,
            "--account": self.account is not None,
            "--directive": bool(self.directives),
        }
        for option in (option for option, there in given.items() if there):
            yield UserError(
                "a job of this machine has no scheduler that would heed it", where=option, hint="leave it out"
            )

    def _too_short(self, notice: int) -> Iterator[UserError]:
        if self.seconds is not None and notice >= self.seconds:
            hint = f"it is told to stop {notice} s before its end: give more, or a shorter --notice"
            yield UserError(f"a job of {self.seconds} s has no time to work", where="--time", hint=hint)


def read_time(text: str) -> int:
    """Seconds of ``4:00:00``, ``1-12:00:00``, ``90m``, ``4h`` or ``2d``.

    Raises:
        UserError: if it is none of these.
    """
    if match := re.fullmatch(r"(\d+)([mhd])", text):
        seconds = int(match[1]) * _UNITS[match[2]]
    elif match := re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)", text):
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        seconds = days * 86400 + hours * 3600 + minutes * 60 + rest
    else:
        raise UserError(f"'{text}' is no time", where="--time", hint="write 4:00:00, 1-12:00:00, 90m, 4h or 2d")
    if seconds == 0:
        raise UserError("a job needs some time", where="--time", hint="write 4:00:00, 90m, 4h or 2d")
    return seconds


def read_memory(text: str) -> int:
    """MB of ``500M``, ``16G`` or ``1T``, in units of 1024.

    Raises:
        UserError: if it is none of these.
    """
    match = re.fullmatch(r"([1-9]\d*)([MGT])B?", text.upper())
    if match is None:
        raise UserError(f"'{text}' is no amount of memory", where="--memory", hint="write 500M, 16G or 1T")
    return int(match[1]) * _SIZES[match[2]]


def clock(seconds: int) -> str:
    """``36:00:00`` for a day and a half."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
