"""Space files: which keys of a recipe a sweep changes, and to what."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from stem_sweeps.parameter import Parameter, read_parameter
from stemcore import Recipe, StemDeprecationWarning, UserError, load_recipe, load_yaml


@dataclass(frozen=True)
class Space:
    """The keys that a sweep changes."""

    parameters: tuple[Parameter, ...]

    def overrides(self, drawn: dict[str, Any]) -> list[str]:
        """``KEY=VALUE`` for each key, of what Optuna has drawn for it."""
        return [parameter.override(drawn[parameter.key]) for parameter in self.parameters]

    def grid(self) -> list[dict[str, Any]]:
        """Every combination, the last key changing fastest.

        Raises:
            UserError: for each key that is a range without steps.
        """
        endless = [
            UserError(f"{p.key}: a grid takes lists, or ranges with a step", where=p.where)
            for p in self.parameters
            if p.points() is None
        ]
        if endless:
            raise joined(endless)
        points = [parameter.points() or [] for parameter in self.parameters]
        return [dict(zip(self.keys, point, strict=True)) for point in itertools.product(*points)]

    @property
    def keys(self) -> list[str]:
        """The keys in their order."""
        return [parameter.key for parameter in self.parameters]

    def document(self) -> dict[str, Any]:
        """What is in it, as plain data."""
        return {parameter.key: parameter.document() for parameter in self.parameters}


def read_space(given: str) -> Space:
    """The space of a file, or the one that is shipped under a name.

    Raises:
        UserError: with everything that is wrong with it, each with ``file:line``.
    """
    tree = load_yaml(_locate(given))
    if not isinstance(tree.value, dict) or not tree.value:
        hint = "write a line for each key, such as model.latent_dim: [16, 32, 64]"
        raise UserError("it names no key of a recipe", where=tree.where, hint=hint)
    errors, parameters = [], []
    for key, node in tree.value.items():
        try:
            parameters.append(read_parameter(key, node))
        except UserError as error:
            errors.append(error)
    errors += [
        UserError(f"{p.key}: it lies within '{above}', which the space sets as well", where=p.where)
        for p in parameters
        for above in _above(p.key)
        if above in tree.value
    ]
    if errors:
        raise joined(errors)
    return Space(tuple(parameters))


def _locate(given: str) -> Path:
    if Path(given).is_file():
        return Path(given)
    known = shipped()
    if given in known:
        return known[given]
    raise UserError(f"there is no space '{given}'", where="--space", hint=f"give a file, or one of {', '.join(known)}")


def shipped() -> dict[str, Path]:
    """The spaces that come with stemcore by name."""
    folder = Path(str(files("stem_sweeps") / "spaces"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def refuse_unfit(space: Space, recipe: str, overrides: Sequence[str]) -> Recipe:
    """Tries every value of a list and the ends of every range in the recipe, the other keys at their first values.

    Returns:
        the recipe with the first value of each key.

    Raises:
        UserError: with everything that is wrong: keys and values that the recipe refuses, overrides without effect.
    """
    errors = [
        UserError(f"the space sets {key} in every trial", where=f"{text} on the command line", hint="leave one out")
        for text in overrides
        for given in (text.partition("=")[0].strip(),)
        for key in space.keys
        if key in (given, *_above(given))
    ]
    first = {p.key: p.ends()[0] for p in space.parameters}
    found = None
    try:
        found = load_recipe(recipe, [*overrides, *space.overrides(first)])
    except UserError as error:
        errors.append(_placed(error, space))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StemDeprecationWarning)  # it was warned of just now
        for parameter in space.parameters:
            for drawn in parameter.ends()[1:]:
                try:
                    load_recipe(recipe, [*overrides, *space.overrides({**first, parameter.key: drawn})])
                except UserError as error:
                    errors.append(_placed(error, space))
    if errors or found is None:
        raise joined(errors)
    return found


def joined(errors: Iterable[UserError]) -> UserError:
    """Several errors as one, each problem once."""
    return UserError(*dict.fromkeys(problem for error in errors for problem in error.problems))


def _placed(error: UserError, space: Space) -> UserError:
    """The error with the lines of the space file for what came of them."""
    lines = {p.key: p.where for p in space.parameters}
    placed = []
    for problem in error.problems:
        key = problem.where.partition("=")[0]
        if key in lines and problem.where.endswith(" on the command line"):
            value = problem.where.removesuffix(" on the command line")
            placed.append(UserError(f"{value}: {problem.message}", where=lines[key], hint=problem.hint))
        else:
            placed.append(UserError(problem))
    return joined(placed)


def _above(key: str) -> Iterator[str]:
    """The keys around a key: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = key.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)))
