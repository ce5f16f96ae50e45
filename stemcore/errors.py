"""Errors that are the user's to mend: one line each, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what, where (``file:line``, a recipe key, a path), and what would be right."""

    message: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class UserError(Exception):
    """The input is wrong, not the program. The command line prints one line per problem and exits with 2.

    Args:
        problems: what is wrong; a string is a problem without a place.
        where: the place, for problems given as strings.
        hint: what would be right, for problems given as strings.
    """

    def __init__(self, *problems: Problem | str, where: str = "", hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = tuple(
            p if isinstance(p, Problem) else Problem(p, where, hint) for p in problems
        )
        super().__init__("\n".join(str(p) for p in self.problems))


class Interrupted(Exception):
    """The work was stopped from outside; what is needed to go on was saved first (exit code 130)."""


class TrainingFailed(Exception):
    """Training cannot go on (exit code 1), for a reason that the message names.

    Args:
        everywhere: whether every process of a run raises it: the first one says so for all.
    """

    def __init__(self, *args: object, everywhere: bool = False) -> None:
        super().__init__(*args)
        self.everywhere = everywhere


def close_match(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'latent_dim'?"`` where one of ``known`` is close, else the list of what is known."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(names)}" if names else "there are none"


def missing_file(path: Path, message: str = "there is no such file") -> UserError:
    """The error to raise for a file that is not there: its hint is the closest name in the folder, else the files of
    the same ending.

    Args:
        path: what was asked for.
        message: what is wrong, for anything but one file (a glob that nothing matches).
    """
    return UserError(message, where=str(path), hint=_beside(path))


def _beside(path: Path) -> str:
    folder = path.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return f"the folder {folder} cannot be listed" if folder.is_dir() else f"there is no folder {folder}"
    if near := get_close_matches(path.name, names, n=1):
        return f"did you mean {near[0]}?"
    alike = [name for name in names if Path(name).suffix == path.suffix][:8]
    return f"the folder has {', '.join(alike)}" if alike else f"the folder has no {path.suffix or 'such'} file"
