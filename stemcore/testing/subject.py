"""What a check is given: a component, one example of it, and a folder to work in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from stemcore.component.kinds import KINDS
from stemcore.errors import UserError
from stemcore.plugins import Entry
from stemcore.plugins.discovery import cause_of
from stemcore.plugins.signature import Schema
from stemcore.testing.configuration import filled_in
from stemcore.testing.examples import Example
from stemcore.testing.promises import Broken, NotApplicable, ensure

E = TypeVar("E", bound=Example)


@dataclass
class Subject:
    """A component under check, in one configuration.

    Attributes:
        entry: its kind, name and import string. Of a plugin as a whole: kind ``plugin`` and its module.
        example: the configuration, and what its author promises.
        folder: an empty folder of the check's own.
    """

    entry: Entry
    example: Example
    folder: Path

    @property
    def kind(self) -> str:
        """The kind of component, or ``plugin``."""
        return self.entry.kind

    def load(self) -> Any:
        """The class or function behind the import string; raises whatever importing it raises."""
        module, _, attribute = self.entry.target.partition(":")
        return getattr(import_module(module), attribute)

    @cached_property
    def target(self) -> Any:
        """The class or function."""
        try:
            return self.load()
        except (Exception, SystemExit) as error:
            raise NotApplicable(f"it cannot be imported: {cause_of(error)}") from error

    @cached_property
    def schema(self) -> Schema:
        """The configuration that it takes."""
        target = self.target
        try:
            return Schema(target, KINDS[self.kind], self.entry.name)
        except Exception as error:
            raise NotApplicable(f"its signature cannot be read: {error}") from error

    @cached_property
    def config(self) -> dict[str, Any]:
        """The example's configuration, required keys that it leaves out filled in."""
        return filled_in(self.schema, self.example.config)

    def build(self, *given: Any) -> Any:
        """The component, from what the core hands over by position."""
        arguments, problems = self.schema.validate(self.config)
        if problems:
            said = "; ".join(".".join(map(str, place)) + f" {problem}" for place, problem in problems)
            raise Broken(f"the configuration {self.config} is refused: {said}{_advice(self)}")
        try:
            return self.schema.build(*given, **arguments)
        except UserError as error:
            raise Broken(f"it cannot be built with {self.config}: {error}{_advice(self)}") from error

    def promised(self, kind: type[E]) -> E:
        """The example as one of a kind of component."""
        if type(self.example) is Example:
            return kind(config=self.example.config, label=self.example.label)
        ensure(
            isinstance(self.example, kind),
            f"its example is a {type(self.example).__name__}; a {self.kind} has {kind.__name__}",
        )
        return self.example  # type: ignore[return-value]


def _advice(subject: Subject) -> str:
    if subject.example.config:
        return ""
    return f" (give an example by the hook stem_examples: {{'{subject.kind}/{subject.entry.name}': ...}})"
