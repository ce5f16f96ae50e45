"""What a shipped option promises."""

from __future__ import annotations

import re

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import catalogue
from stemcore.plugins.shipped import shipped_path, shipped_text
from stemcore.recipe.node import Node
from stemcore.recipe.options import content
from stemcore.recipe.resolve import section_problems
from stemcore.recipe.slots import SECTIONS, kind_at
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject


def _split(subject: Subject) -> tuple[str, str]:
    section, _, name = subject.entry.name.partition("/")
    return section, name


def _kind(subject: Subject) -> str | None:
    return kind_at((_split(subject)[0],))


def _content(subject: Subject) -> Node:
    problems: list[Problem] = []
    try:
        read = content(_split(subject)[0], shipped_path(subject.entry), f"{subject.entry.name}.yaml", problems)
    except UserError as error:
        raise Broken(str(error)) from error
    ensure(not problems, "; ".join(map(str, problems)))
    return read


@promise("option")
def check_name(subject: Subject) -> None:
    """The name is that of a section of a recipe, a slash, and a lower snake case name: it is typed behind the
    section, as in ``model=mae_large``."""
    section, name = _split(subject)
    ensure(section in SECTIONS, f"'{section}' is not a section of a recipe; {close_match(section, SECTIONS)}")
    ensure(re.fullmatch(r"[a-z][a-z0-9_]*", name), f"'{name}' is not a lower_snake name")


@promise("option")
def check_own_name(subject: Subject) -> None:
    """No component that could stand there has its name: which of both is meant would have to be said each time."""
    kind = _kind(subject)
    if kind is None:
        raise NotApplicable("no component stands there by its name alone")
    same = [e for e in catalogue().of_kind(kind) if e.name == _split(subject)[1]]
    who = ", ".join(f"plugin '{entry.plugin}' ({entry.distribution})" for entry in same)
    ensure(not same, f"'{_split(subject)[1]}' is also a {kind} of {who}")


@promise("option")
def check_file(subject: Subject) -> None:
    """Its file is in the installed package and holds what the section holds: package data are easily forgotten in a
    wheel."""
    _content(subject)


@promise("option")
def check_first_line(subject: Subject) -> None:
    """It begins with a comment that says what it is for: ``stem recipes options`` shows that line."""
    _content(subject)
    first = (shipped_text(subject.entry).splitlines() or [""])[0]
    ensure(re.match(r"#\s*\w", first), f"its first line is {first!r}")


@promise("option")
def check_whole(subject: Subject) -> None:
    """It names the type of the component that it sets up: it means the same whatever the recipe has there."""
    kind = _kind(subject)
    if kind is None:
        raise NotApplicable("it sets up no single component")
    read = _content(subject)
    groups = kind == "optimizer" and all(isinstance(node.value, dict) for node in read.value.values())
    ensure("type" in read.value or groups, f"it does not say which {kind} it is for: it has no type")


@promise("option")
def check_valid(subject: Subject) -> None:
    """It is valid with the plugins that are installed, but for what a recipe must still give of the data."""
    problems = section_problems(_split(subject)[0], _content(subject))
    ensure(not problems, f"it is not valid: {'; '.join(map(str, problems))}")
