"""What ``stem plugins check`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from stemcore.errors import UserError, close_match
from stemcore.progress import Reporter
from stemcore.testing.candidates import of_distribution
from stemcore.testing.outcome import Outcome, outcome_of

Row = tuple[str, str, str, str]
COLUMNS = ("component", "check", "result", "seen")


def check_distribution(distribution: str, components: Sequence[str], reporter: Reporter) -> list[Outcome]:
    """Puts the components of an installed distribution to their checks.

    Args:
        distribution: its name.
        components: ``kind/name`` of those that are wanted; all if there are none.
        reporter: is told of each check that is made.

    Raises:
        UserError: if no distribution of that name has plugins, or it has no such component.
    """
    candidates = of_distribution(distribution)
    known = [candidate.name for candidate in candidates]
    if unknown := [name for name in components if name not in known]:
        raise UserError(*(f"{distribution} has no component '{name}'; {close_match(name, known)}" for name in unknown))
    if components:
        candidates = [candidate for candidate in candidates if candidate.name in components]
    pairs = [(candidate, check) for candidate in candidates for check in candidate.checks()]
    found = []
    with reporter.task("checks", len(pairs)) as task:
        for candidate, check in pairs:
            found.append(outcome_of(candidate, check))
            task.advance()
    return found


def rows(outcomes: Sequence[Outcome], verbose: bool) -> Iterator[Row]:
    """A row for each failure, expected or not, and one that sums up the rest of each component; every check has its
    own row where ``verbose``."""
    for component, group in groupby(outcomes, key=lambda outcome: outcome.component):
        listed = list(group)
        told = [o for o in listed if verbose or o.status in ("failed", "expected")]
        for outcome in told:
            result = "FAILED" if outcome.status == "failed" else outcome.status
            yield component, outcome.check, result, " ".join(outcome.message.split())
        if not verbose:
            passed, skipped = (sum(o.status == status for o in listed) for status in ("passed", "skipped"))
            rest = f"{passed} passed" + (f", {skipped} do not apply" if skipped else "")
            yield component, "the others" if told else "all", "ok", rest


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line: how many checks of how many components, and what came of them."""
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("passed", "failed", "expected", "skipped")
    }
    parts = [f"{counts['passed']} checks passed", f"{counts['failed']} failed"]
    if counts["expected"]:
        parts.append(f"{counts['expected']} failed as expected")
    components = len({outcome.component for outcome in outcomes})
    return f"{', '.join(parts)}, {counts['skipped']} do not apply, over {components} components"


def document(distribution: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes as plain data."""
    fields = ("component", "check", "status", "message")
    return {
        "distribution": distribution,
        "failed": sum(outcome.status == "failed" for outcome in outcomes),
        "results": [{name: getattr(outcome, name) for name in fields} for outcome in outcomes],
    }
