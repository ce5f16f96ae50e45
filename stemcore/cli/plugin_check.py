"""What can be said of a component without data: for its author, before it is released."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from stemcore.cli.recipes import recipe_text
from stemcore.cli.verbs import refused
from stemcore.component.kinds import KINDS
from stemcore.errors import UserError, close_match
from stemcore.plugins.catalogue import Catalogue, Entry
from stemcore.plugins.discovery import cause_of


@dataclass(frozen=True)
class Result:
    """A component (``kind/name``) or a plugin, and what is wrong with it."""

    subject: str
    failures: list[str]


def check_distribution(known: Catalogue, distribution: str) -> list[Result]:
    """Checks every component of a distribution; what kept its plugins from loading is a failure too.

    Raises:
        UserError: if no distribution of that name has plugins.
    """
    troubles = [*known.troubles, *refused(known)]
    owners = {p.distribution for p in known.plugins} | {t.distribution for t in troubles}
    wanted = {owner for owner in owners if _normal(owner) == _normal(distribution)}
    if not wanted:
        raise UserError(f"no distribution '{distribution}' has plugins here", hint=close_match(distribution, owners))
    results = [Result(f"plugin '{t.plugin}'", [t.cause]) for t in troubles if t.distribution in wanted]
    order = list(KINDS)
    entries = sorted(
        (e for e in known.entries if e.distribution in wanted), key=lambda e: (order.index(e.kind), e.name)
    )
    return results + [Result(f"{e.kind}/{e.name}", list(_failures(known, e))) for e in entries]


def _failures(known: Catalogue, entry: Entry) -> Iterator[str]:
    # Verbs and recipes are typed on the command line, where hyphens are usual.
    pattern = r"[a-z][a-z0-9_-]*" if entry.kind in ("command", "recipe") else r"[a-z][a-z0-9_]*"
    if not re.fullmatch(pattern, entry.name):
        yield f"'{entry.name}' is not a lower_snake name"
    if entry.kind == "recipe":
        yield from _trial(lambda: recipe_text(entry))
        return
    imported: list[object] = []
    yield from _trial(lambda: imported.append(known.load(entry)))
    if not imported:
        return
    target = imported[0]
    base = KINDS[entry.kind].base
    if base and not _is_a(target, getattr(import_module("stemcore"), base), entry.kind):
        yield f"it is not a stemcore.{base}"
    if entry.kind == "command":
        if not getattr(target, "help", None):
            yield "it has no docstring"
        return
    # Not inspect.getdoc: a docstring inherited from the base class says nothing about this component.
    if not inspect.cleandoc(getattr(target, "__doc__", None) or ""):
        yield "it has no docstring"
    yield from _trial(lambda: known.schema(entry))


def _is_a(target: object, base: type, kind: str) -> bool:
    if kind == "command":
        return isinstance(target, base)
    return inspect.isclass(target) and issubclass(target, base)


def _trial(act: Callable[[], object]) -> Iterator[str]:
    """What an attempt fails with, if it does."""
    try:
        act()
    except UserError as error:
        yield str(error)
    except Exception as error:
        yield cause_of(error)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
