"""Putting a component to its checks, one outcome for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stemcore.plugins import Entry
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import Example
from stemcore.testing.promises import Broken, Check, NotApplicable, checks_of
from stemcore.testing.subject import Subject

EXAMPLES = "check_examples"
Status = Literal["passed", "failed", "skipped", "expected"]


def no_examples(folder: Path) -> Sequence[Example]:
    """One example that leaves everything at its default."""
    return [Example()]


@dataclass(frozen=True)
class Candidate:
    """A component to be checked, or a plugin as a whole.

    Attributes:
        entry: its kind, name and import string.
        examples: makes its examples, given an empty folder.
        expected_failures: ``{check: reason}``.
        kind_of_subject: what is handed to checks; tests put in a component that no plugin offers.
    """

    entry: Entry
    examples: Callable[[Path], Iterable[Example]] = no_examples
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    kind_of_subject: Callable[[Entry, Example, Path], Subject] = Subject

    @property
    def name(self) -> str:
        """As on the command line: ``kind/name``."""
        return f"{self.entry.kind}/{self.entry.name}"

    def checks(self) -> list[Check]:
        """The checks it is put to."""
        return checks_of(self.entry.kind)


@dataclass(frozen=True)
class Outcome:
    """What came of a check. ``expected`` is a failure that was announced, with the reason that was given for it."""

    component: str
    check: str
    status: Status
    message: str = ""
    cause: BaseException | None = field(default=None, compare=False, repr=False)


def outcome_of(candidate: Candidate, check: Check) -> Outcome:
    """Makes one check of a component, in a folder of its own, for each of its examples."""
    reason = candidate.expected_failures.get(check.name)
    with tempfile.TemporaryDirectory(prefix="stem-check-") as name:
        status, message, cause = _attempt(candidate, check, Path(name).resolve())
    if reason is not None and status == "failed":
        status, message, cause = "expected", f"{reason} ({message})", None
    elif reason is not None and status == "passed":
        status, message = "failed", f"it passes, though its failure is expected ({reason}): take that out"
    return Outcome(candidate.name, check.name, status, message, cause)


Attempt = tuple[Status, str, BaseException | None]


def _attempt(candidate: Candidate, check: Check, folder: Path) -> Attempt:
    place = folder / "example"
    place.mkdir()
    try:
        examples = list(candidate.examples(place))
        if not examples:
            raise Broken("the function that makes them returned none")
    except Exception as error:
        said = str(error) if isinstance(error, Broken) else cause_of(error)
        # One check says so; the others would only repeat it.
        status: Status = "failed" if check.name == EXAMPLES else "skipped"
        return status, f"its examples cannot be made: {said}", error
    found: list[Attempt] = []
    for number, example in enumerate(examples[:1] if check.once else examples):
        work = folder / f"check{number}"
        work.mkdir()
        found.append(_one(candidate, check, example, work))
    for worst in ("failed", "expected", "passed"):
        for attempt in found:
            if attempt[0] == worst:
                return attempt
    return found[0]


def _one(candidate: Candidate, check: Check, example: Example, folder: Path) -> Attempt:
    reason = example.expected_failures.get(check.name)
    about = f"{example.label}: " if example.label else ""
    try:
        check(candidate.kind_of_subject(candidate.entry, example, folder))
    except NotApplicable as error:
        return "skipped", f"{about}{error}", None
    except Broken as error:
        broken: tuple[str, Exception] = f"{about}{error}", error
    except Exception as error:
        broken = f"{about}it raised {cause_of(error)}", error
    else:
        if reason is None:
            return "passed", "", None
        return "failed", f"{about}it passes, though its failure is expected ({reason}): take that out", None
    message, cause = broken
    return ("failed", message, cause) if reason is None else ("expected", f"{reason} ({message})", None)


def outcomes(candidates: Iterable[Candidate], tick: Callable[[str], Any] = lambda name: None) -> list[Outcome]:
    """Every check of every candidate; ``tick`` is told of each before it begins."""
    found = []
    for candidate in candidates:
        for check in candidate.checks():
            tick(f"{candidate.name} {check.name}")
            found.append(outcome_of(candidate, check))
    return found
