"""The name of a new plugin: what it may be."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, entry_points, packages_distributions
from importlib.util import find_spec

from stemcore.errors import Problem, close_match
from stemcore.plugins.discovery import GROUP

PATTERN = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def normal(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package_of(distribution: str) -> str:
    """The import package of a distribution."""
    return normal(distribution).replace("-", "_")


def owners_of(package: str) -> list[str]:
    """The distributions that an installed package is of."""
    if find_spec(package) is None:
        return []  # All distributions need be read only for what can be imported.
    return sorted(set(packages_distributions().get(package, ())))


def is_installed(name: str) -> bool:
    """Whether there is a distribution of that name, spelt in whatever way."""
    try:
        distribution(normal(name))
    except PackageNotFoundError:
        return False
    return True


def problems_of(name: str) -> list[Problem]:
    """What keeps a new distribution from being called so."""
    where = f"NAME '{name}'"
    if not PATTERN.fullmatch(name):
        hint = "begin with a letter, go on with letters, digits and hyphens, such as my-lab"
        return [Problem("it is not the name of a distribution", where, hint)]
    package = package_of(name)
    taken = []
    if keyword.iskeyword(package):
        taken.append(f"'{package}' is a word of Python, and cannot be imported")
    elif package in sys.stdlib_module_names:
        taken.append(f"'{package}' is a module of Python's own, which it would hide")
    elif owners := owners_of(package):
        taken.append(f"the package '{package}' is installed already, by {' and '.join(owners)}")
    elif is_installed(name):
        taken.append("a distribution of that name is installed already")
    elif package in {point.name for point in entry_points(group=GROUP)}:
        taken.append(f"there is a plugin '{package}' already")
    return [Problem(text, where, "choose another name") for text in taken]


def problems_of_kinds(kinds: tuple[str, ...], known: list[str]) -> list[Problem]:
    """What is wrong with the kinds asked for."""
    return [Problem(f"unknown kind '{k}'", "--kind", close_match(k, known)) for k in kinds if k not in known]
