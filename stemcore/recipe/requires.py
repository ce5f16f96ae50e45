"""``requires:`` the distributions that a recipe needs, as for ``pip install``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from stemcore import __version__
from stemcore.errors import Problem
from stemcore.hookspecs import PROJECT
from stemcore.plugins import Entry
from stemcore.recipe.node import Node

KEY = "requires"
_FORM = "write a distribution and its versions, such as stem-tv>=0.2"


def merged(base: Node, over: Node) -> Node:
    """The requirements of both; for a distribution that both name, those of ``over``."""
    named = {_distribution(item.value) for item in over.value}
    return Node([*(item for item in base.value if _distribution(item.value) not in named), *over.value], over.where)


def unmet(requires: Node | None, problems: list[Problem]) -> list[str]:
    """The requirements that are not met here, each reported with what to install.

    Args:
        requires: the value of the key; what is not a list of texts is left for others to report.
        problems: takes in what is wrong.
    """
    lacking = []
    for item in _texts(requires):
        try:
            requirement = Requirement(item.value)
        except InvalidRequirement:
            problems.append(Problem(f"{KEY}: {item.value!r} is not a requirement", item.where, _FORM))
            continue
        if requirement.url is not None:
            # Recipes come from strangers, and the address would stand in a command that the reader is asked to run.
            problems.append(Problem(f"{KEY}: {item.value!r} gives an address, which is refused", item.where, _FORM))
        elif (lack := _lack(requirement)) is not None:
            asked = " ".join(item.value.partition(";")[0].split())  # without its marker, which holds here
            update = "" if installed(requirement.name) is None else "-U "
            hint = f"pip install {update}{shlex.quote(asked)}"
            problems.append(Problem(f"needs {asked}, {lack}", item.where, hint))
            lacking.append(asked)
    return lacking


def recorded(requires: Node | None, used: Iterable[Entry]) -> list[str]:
    """What a resolved recipe requires: what it says itself, and the distributions of its components and this core in
    the versions that are installed or newer, sorted.

    Args:
        requires: the value of the key.
        used: the components of the recipe.
    """
    stated = [str(item.value) for item in _texts(requires)]
    named = {_distribution(text) for text in stated}
    names = (PROJECT, *(entry.distribution for entry in used if entry.distribution))
    others = {str(canonicalize_name(name)) for name in names} - named
    found = [_from(name, there) for name in others if (there := installed(name)) is not None]
    return sorted(dict.fromkeys([*stated, *found]), key=lambda text: (_distribution(text), text))


def installed(distribution: str) -> str | None:
    """The version of a distribution that is installed here (empty if it does not say), null where it is not."""
    if canonicalize_name(distribution) == PROJECT:
        return __version__
    try:
        return str(version(distribution) or "")
    except PackageNotFoundError:
        return None
    except KeyError:  # its metadata are incomplete
        return ""


def _from(name: str, there: str) -> str:
    """``name>=version``, such that what is installed here, or is on the way to the same release, meets it."""
    try:
        found = Version(there)
    except InvalidVersion:
        return name
    # A working copy counts its development releases up and, from branch to branch, down.
    return f"{name}>={f'{found.base_version}.dev0' if found.is_devrelease else found.public}"


def _lack(requirement: Requirement) -> str | None:
    """What is amiss with a requirement here, null where it is met."""
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    there = installed(requirement.name)
    if there is None:
        return "which is not installed"
    try:
        met = requirement.specifier.contains(Version(there), prereleases=True)
    except InvalidVersion:  # no version to compare: it is there, and may do
        return None
    return None if met else f"{there} is installed"


def _distribution(text: object) -> str:
    """The name by which requirements of one distribution are told to be so."""
    try:
        return str(canonicalize_name(Requirement(str(text)).name))
    except InvalidRequirement:
        return str(text)


def _texts(requires: Node | None) -> list[Node]:
    items = requires.value if requires is not None and isinstance(requires.value, list) else []
    return [item for item in items if isinstance(item.value, str)]
