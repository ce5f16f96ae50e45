"""The components of a plugin module, or of an installed distribution, as candidates for their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from stemcore.component.kinds import KINDS
from stemcore.errors import UserError, close_match
from stemcore.plugins import Catalogue, Entry
from stemcore.plugins.discovery import GROUP, discover
from stemcore.testing.examples import Example
from stemcore.testing.outcome import Candidate, no_examples
from stemcore.testing.promises import PLUGIN, checks_of

ExpectedFailures = Mapping[str, Mapping[str, str]]


def of_distribution(distribution: str) -> list[Candidate]:
    """The candidates of an installed distribution.

    Raises:
        UserError: if no distribution of that name has plugins.
    """
    points = list(entry_points(group=GROUP))
    owners = {point.dist.name for point in points if point.dist}
    wanted = [point for point in points if point.dist and _normal(point.dist.name) == _normal(distribution)]
    if not wanted:
        raise UserError(f"no distribution '{distribution}' has plugins here", hint=close_match(distribution, owners))
    return [candidate for point in wanted for candidate in _of_point(point)]


def of_module(module: str, expected_failures: ExpectedFailures) -> list[Candidate]:
    """The candidates of a plugin module, whether it is installed or not.

    Raises:
        UserError: if ``expected_failures`` names a component or a check that there is not.
    """
    installed = [point for point in entry_points(group=GROUP) if point.value == module]
    point = installed[0] if installed else EntryPoint(module.partition(".")[0], module, GROUP)
    return _with_expectations(_of_point(point), expected_failures)


def _of_point(point: EntryPoint) -> list[Candidate]:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
    whole = Candidate(Entry(PLUGIN, point.name, point.name, distribution, version, point.value))
    found = discover([point])
    order = list(KINDS)
    entries = sorted(Catalogue(found).entries, key=lambda entry: (order.index(entry.kind), entry.name))
    offered = {key: value for plugin in found.plugins for key, value in plugin.offers.get("stem_examples", {}).items()}
    return [whole, *(Candidate(entry, _examples(entry, offered)) for entry in entries)]


def _examples(entry: Entry, offered: Mapping[str, str]) -> Callable[[Path], Iterable[Example]]:
    target = offered.get(f"{entry.kind}/{entry.name}")
    return no_examples if target is None else partial(_make, target)


def _make(target: str, folder: Path) -> Iterable[Example]:
    module, _, attribute = target.partition(":")
    made = getattr(import_module(module), attribute)(folder)
    return [made] if isinstance(made, Example) else list(made)


def _with_expectations(candidates: list[Candidate], expected: ExpectedFailures) -> list[Candidate]:
    from dataclasses import replace

    known = {name for c in candidates for name in (c.name, c.entry.name)}
    for component, checks in expected.items():
        if component not in known:
            raise UserError(f"expected_failures: no component '{component}'", hint=close_match(component, known))
        names = {k.name for c in candidates if component in (c.name, c.entry.name) for k in checks_of(c.entry.kind)}
        for check in checks:
            if check not in names:
                raise UserError(f"expected_failures: no check '{check}'", hint=close_match(check, names))
    return [
        replace(c, expected_failures={**expected.get(c.entry.name, {}), **expected.get(c.name, {})}) for c in candidates
    ]


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
