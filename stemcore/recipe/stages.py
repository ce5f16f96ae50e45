"""A ladder: recipes and verbs one after the other, in one file, each of which may read what those before it leave."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from stemcore.errors import Problem
from stemcore.recipe.document import Recipe
from stemcore.recipe.node import Node
from stemcore.recipe.resolve import resolve
from stemcore.recipe.writing import as_yaml

MARK = "stage:"
"""What a text begins with that stands for what an earlier stage leaves: ``stage:NAME`` or ``stage:NAME/path``."""
NOWHERE = os.sep
"""Where what a stage will leave is said to be as long as no place is settled: a whole path stays as it is."""
OUT = "out"
"""The option of a verb that says where its result goes."""


def named(text: Any) -> str | None:
    """The stage that a value stands for, if it does."""
    return text.removeprefix(MARK).partition("/")[0] if isinstance(text, str) and text.startswith(MARK) else None


def placed(value: Any, places: Mapping[str, Path]) -> Any:
    """A value with the path of what an earlier stage leaves in place of its name.

    Args:
        value: of a recipe, or an argument of a verb.
        places: what each stage leaves.
    """
    name = named(value)
    if name is None:
        return value
    return str(places[name] / value.removeprefix(MARK).partition("/")[2])


def on(node: Node, places: Mapping[str, Path]) -> Node:
    """A tree with the paths of what earlier stages leave in place of their names."""
    if isinstance(node.value, dict):
        return replace(node, value={key: on(child, places) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[on(child, places) for child in node.value])
    return replace(node, value=placed(node.value, places))


def written(value: Any) -> Any:
    """Plain data in which what is ``on`` :data:`NOWHERE` is written ``stage:NAME`` again."""
    if isinstance(value, dict):
        return {key: written(child) for key, child in value.items()}
    if isinstance(value, list):
        return [written(child) for child in value]
    return value.removeprefix(NOWHERE) if isinstance(value, str) and value.startswith(NOWHERE + MARK) else value


def texts(node: Node) -> Iterator[Node]:
    """The scalars of a tree."""
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from texts(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from texts(child)
    else:
        yield node


@dataclass(frozen=True)
class RecipeStage:
    """A stage that trains.

    Attributes:
        name: of the stage.
        recipe: what is trained; what it reads of earlier stages has no place yet.
        tree: as written, everything merged in: what it reads is ``stage:NAME``.
        reads: the stages whose results it reads.
        extends: the recipe that it is made from, if any.
    """

    name: str
    recipe: Recipe
    tree: Node = field(repr=False, compare=False)
    reads: tuple[str, ...] = field(compare=False)
    extends: str = field(default="", compare=False)

    @property
    def where(self) -> str:
        """``file:line``."""
        return self.tree.where

    @property
    def about(self) -> str:
        """What it does, in a few words."""
        return f"{self.extends}: {self.recipe.model.type}" if self.extends else f"trains {self.recipe.model.type}"

    def leaves(self, folder: Path) -> Path:
        """What ``stage:NAME`` stands for: the run directory."""
        return folder

    def on(self, places: Mapping[str, Path]) -> Recipe:
        """The recipe to train, which names the results of earlier stages by their paths."""
        recipe = resolve(on(self.tree, places), self.recipe.name, [])
        return replace(recipe, deprecations=())

    def document(self) -> dict[str, Any]:
        """As plain data, defaults filled in."""
        document: dict[str, Any] = written(self.recipe.document())
        return document


@dataclass(frozen=True)
class VerbStage:
    """A stage that calls a verb of the command line.

    Attributes:
        name: of the stage.
        verb: its name, with that of a verb of its own behind a space.
        arguments: in their order; what they read of earlier stages is written ``stage:NAME``.
        options: by their names without dashes.
        reads: the stages whose results it reads.
        tree: as written, for the places of messages.
    """

    name: str
    verb: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    reads: tuple[str, ...] = field(compare=False)
    tree: Node = field(repr=False, compare=False)

    @property
    def where(self) -> str:
        """``file:line``."""
        return self.tree.where

    @property
    def about(self) -> str:
        """The command line, in a few words."""
        options = (f" --{key}{'' if value is True else f' {value}'}" for key, value in self.options.items())
        return " ".join(["stem", self.verb, *map(str, self.arguments)]) + "".join(options)

    def leaves(self, folder: Path) -> Path:
        """What ``stage:NAME`` stands for: what the verb writes, or the stage's folder if it does not say where to."""
        return folder / self.options[OUT] if OUT in self.options else folder

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"verb": self.verb, "arguments": list(self.arguments), "options": dict(self.options)}


Stage = RecipeStage | VerbStage


@dataclass(frozen=True)
class LadderRecipe:
    """A checked ladder: every stage is what it should be by itself, and reads earlier ones alone.

    Attributes:
        stem: version of the format.
        name: names the folder of its runs.
        seed: of the stages that have none of their own.
        requires: distributions that must be installed.
        stages: in their order.
    """

    stem: int
    name: str
    seed: int
    requires: list[str]
    stages: dict[str, Stage]
    tree: Node = field(repr=False, compare=False)
    deprecations: tuple[Problem, ...] = field(default=(), repr=False, compare=False)

    def document(self) -> dict[str, Any]:
        """The ladder as plain data, defaults filled in: reading it gives an equal ladder."""
        head = {"stem": self.stem, "name": self.name, "seed": self.seed, "requires": list(self.requires)}
        return {**head, "stages": {name: stage.document() for name, stage in self.stages.items()}}

    def to_yaml(self) -> str:
        """:meth:`document` as YAML, keys in their usual order."""
        head = f"{self.name}: resolved, with every default written out. Running it again is the same ladder."
        return as_yaml(self.document(), head)

    def places(self, directory: Path) -> dict[str, Path]:
        """What each stage leaves in a ladder's directory."""
        return {name: stage.leaves(directory / name) for name, stage in self.stages.items()}


def is_inside(path: str) -> bool:
    """Whether a path lies in the folder that it is relative to."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
