"""What a shipped recipe promises."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import yaml

from stemcore.assemble import check
from stemcore.errors import UserError
from stemcore.plugins import Catalogue, catalogue
from stemcore.plugins.discovery import cause_of
from stemcore.recipe import Recipe
from stemcore.recipe.load import load
from stemcore.recipe.schema import json_schema
from stemcore.recipe.source import CoreLoader
from stemcore.recipe.stages import LadderRecipe
from stemcore.runs.ladder_check import check_ladder
from stemcore.testing.examples import RecipeExample
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject


def _text(subject: Subject) -> str:
    package, _, path = subject.entry.target.partition(":")
    try:
        return files(package).joinpath(path).read_text(encoding="utf-8")
    except Exception as error:
        raise Broken(f"{subject.entry.target} cannot be read: {cause_of(error)}") from error


def _as_written(subject: Subject) -> dict[str, Any]:
    try:
        written = yaml.load(_text(subject), CoreLoader)  # A safe loader: numbers as YAML 1.2 has them.
    except yaml.YAMLError as error:
        raise Broken(f"it is not YAML: {' '.join(str(error).split())}") from error
    ensure(isinstance(written, dict), f"it is a {type(written).__name__}, not a mapping of keys")
    return dict(written)


MISSING = re.compile(r"(stages\.[\w-]+)?(?:: )?(\S+\.path) is required")
"""A path that is for the user to give, in a stage or not."""


def _loaded(subject: Subject) -> tuple[Recipe | LadderRecipe, list[str]]:
    """The recipe, and the keys that a user must still give; they are given a path that is not there."""
    if not any(entry.target == subject.entry.target for entry in catalogue().of_kind("recipe")):
        raise NotApplicable("its plugin is not installed: pip install -e .")
    overrides = list(subject.promised(RecipeExample).overrides)
    missing: list[str] = []
    name = f"{subject.entry.plugin}/{subject.entry.name}"
    try:
        return load(name, overrides), missing
    except UserError as error:
        found = [MISSING.fullmatch(problem.message) for problem in error.problems]
        missing = [".".join(filter(None, match.groups())) for match in found if match is not None]
        if len(missing) < len(error.problems):
            raise Broken(f"it is not valid: {error}") from error
    absent = subject.folder / "not-there"
    try:
        return load(name, [*overrides, *(f"{key}={absent}" for key in missing)]), missing
    except UserError as error:
        raise Broken(f"it is not valid: {error}") from error


@promise("recipe")
def check_name(subject: Subject) -> None:
    """The name is lower case with hyphens: it is typed, and it names the folder of its runs."""
    ensure(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", subject.entry.name), f"'{subject.entry.name}' is not such a name")


@promise("recipe")
def check_file(subject: Subject) -> None:
    """Its file is in the installed package and has YAML keys: package data are easily forgotten in a wheel."""
    _as_written(subject)


@promise("recipe")
def check_first_line(subject: Subject) -> None:
    """It begins with a comment that says what it is for: ``stem recipes`` shows that line."""
    first = (_text(subject).splitlines() or [""])[0]
    ensure(re.match(r"#\s*\w", first), f"its first line is {first!r}")


@promise("recipe")
def check_header(subject: Subject) -> None:
    """It says which version of the format it is written in, and has the name under which it is shipped."""
    written = _as_written(subject)
    ensure(written.get("stem") == 1, f"it has stem: {written.get('stem')}, not stem: 1")
    ensure(
        written.get("name") == subject.entry.name, f"it has name: {written.get('name')}, not name: {subject.entry.name}"
    )


@promise("recipe")
def check_valid(subject: Subject) -> None:
    """It is valid with the plugins that are installed, but for paths that a user must give."""
    _loaded(subject)


@promise("recipe")
def check_resolved_again(subject: Subject) -> None:
    """Resolved, written out and read again it is the same recipe: a run directory's recipe repeats its run."""
    recipe, _ = _loaded(subject)
    again = load(yaml.load(recipe.to_yaml(), CoreLoader))
    ensure(again.document() == recipe.document(), "its resolved form reads as another recipe")


@promise("recipe")
def check_json_schema(subject: Subject) -> None:
    """An editor that checks it by ``stem schema`` finds nothing wrong."""
    try:
        jsonschema = import_module("jsonschema")
    except ImportError as error:
        raise NotApplicable("jsonschema is not installed") from error
    found = next(jsonschema.Draft202012Validator(_schema(catalogue())).iter_errors(_as_written(subject)), None)
    if found is not None:
        raise Broken(f"{'.'.join(map(str, found.absolute_path)) or 'the whole'}: {found.message[:200]}")


@lru_cache(maxsize=1)
def _schema(of: Catalogue) -> dict[str, Any]:
    """The schema of what is installed, made again where that is another."""
    return json_schema()


@promise("recipe")
def check_fits_together(subject: Subject) -> None:
    """Its components fit together on its data: every name that one asks for another provides, in shapes that fit."""
    recipe, missing = _loaded(subject)
    if missing:
        raise NotApplicable(f"{', '.join(missing)} is for the user to give: an example may, by its overrides")
    try:
        check(recipe) if isinstance(recipe, Recipe) else check_ladder(recipe)
    except UserError as error:
        raise Broken(str(error)) from error
