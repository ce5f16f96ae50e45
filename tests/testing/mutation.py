"""Components broken in one way each, to show that every contract check fails, and for its reason."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from itertools import count
from pathlib import Path
from typing import Any

from stemcore.component.kinds import FILES
from stemcore.plugins import Entry
from stemcore.plugins.catalogue import catalogue
from stemcore.testing.examples import Example
from stemcore.testing.outcome import Candidate, Outcome, no_examples, outcome_of
from stemcore.testing.promises import MODULES, Check, checks_of
from stemcore.testing.subject import Subject

Examples = Callable[[Path], Sequence[Example]]
_numbers = count()


@dataclass(frozen=True)
class Mutant:
    """A component that is broken in just one way.

    Attributes:
        check: the check that must fail.
        broken: the class or function; the source of a plugin module, the YAML of a recipe or an option.
        says: a part of what the check must say, as a regular expression.
        examples: as the hook ``stem_examples`` would name them.
        kind: the kind of component; by default that of the module it stands in.
        name: its name in a recipe.
    """

    check: str
    broken: Any
    says: str
    examples: Examples = no_examples
    kind: str = ""
    name: str = "component"


def outcome(mutant: Mutant, kind: str, folder: Path) -> Outcome:
    """What its check says of a mutant."""
    kind = mutant.kind or kind
    return outcome_of(candidate(mutant.broken, kind, mutant.name, mutant.examples, folder), check(kind, mutant.check))


def check(kind: str, name: str) -> Check:
    return next(c for c in checks_of(kind) if c.name == name)


def candidate(component: Any, kind: str, name: str, examples: Examples, folder: Path) -> Candidate:
    """A component that no plugin offers, as a candidate; text is the source of a plugin module, the YAML of a recipe,
    or the import string of anything else. A file may come with its
    name, ``(name, text)``."""
    if kind == "plugin":
        return Candidate(_entry(kind, name, _written(component, folder)))
    if kind in FILES:
        name, text = component if isinstance(component, tuple) else (name, component)
        return _installed_file(text, kind, name, examples, folder)
    if isinstance(component, str):  # An import string, as hooks give it.
        return Candidate(_entry(kind, name, component), examples)

    class Given(Subject):
        def load(self) -> Any:
            return component

    return Candidate(_entry(kind, name, "given:Component"), examples, kind_of_subject=Given)


def _installed_file(text: str | None, kind: str, name: str, examples: Examples, folder: Path) -> Candidate:
    """A recipe or an option of a plugin that is installed; with no text, one whose file was forgotten."""
    package = f"mutant_{kind}s_{next(_numbers)}"
    target = f"{package}:{name}.yaml"
    (folder / package / name).parent.mkdir(parents=True)
    hook = f"from stemcore import hookimpl\n\n@hookimpl\ndef stem_{kind}s():\n    return {{{name!r}: {target!r}}}\n"
    (folder / package / "__init__.py").write_text("")
    (folder / package / "plugin.py").write_text(hook)
    if text is not None:
        (folder / package / f"{name}.yaml").write_text(text)
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[stemcore]\n{package} = {package}.plugin\n")
    _on_path(folder)
    catalogue.cache_clear()
    entry = Entry(kind, name, package, package, "1.0", target)
    return Candidate(entry, examples)


def _on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    invalidate_caches()


def _entry(kind: str, name: str, target: str) -> Entry:
    return Entry(kind, name, "mutants", "stem-mutants", "1.0", target)


def _written(source: str, folder: Path) -> str:
    name = f"mutant_plugin_{next(_numbers)}"
    (folder / f"{name}.py").write_text(source)
    _on_path(folder)
    return name


def table() -> dict[str, list[Mutant]]:
    """Every mutant, by the kind (or ``plugin``, ``every``) whose checks it is for."""
    return {name: import_module(f"tests.testing.mutants.{name}").MUTANTS for name in MODULES}


def sound() -> dict[str, list[tuple[Any, Examples]]]:
    """Components that keep every promise, from which the mutants were made, by kind."""
    return {name: import_module(f"tests.testing.mutants.{name}").SOUND for name in MODULES}
